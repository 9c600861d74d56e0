/// `http.request` of scripts, away from the core loop. Knows no interpreter.

internal import AsyncHTTPClient
internal import Foundation
internal import LuaRuntime
internal import NIOCore
internal import NIOHTTP1

enum HTTPRequests {
  static let mostBodyBytes = 1 << 20
  static let standardSeconds = 5.0
  static let mostSeconds = 30.0

  /// - Returns: `{ status, headers, body }`, or null and a reason
  static func perform(_ request: LuaValue) async -> [LuaValue] {
    guard let url = request["url"]?.text else { return [.null, .text("url is missing")] }
    var call = HTTPClientRequest(url: url)
    call.method = HTTPMethod(rawValue: request["method"]?.text ?? "GET")
    if case .table(let headers)? = request["headers"] {
      for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
        call.headers.add(name: name, value: value.text ?? "\(value.number ?? 0)")
      }
    }
    if let body = request["body"]?.octets { call.body = .bytes(ByteBuffer(bytes: body.bytes)) }
    let seconds = min(max(0.001, request["timeout"]?.number ?? standardSeconds), mostSeconds)
    do {
      let timeout = TimeAmount.nanoseconds(Int64(seconds * 1e9))
      let response = try await HTTPClient.shared.execute(call, timeout: timeout)
      let body = try await response.body.collect(upTo: mostBodyBytes)
      var headers: [String: LuaValue] = [:]
      for (name, value) in response.headers {
        let known = headers[name.lowercased()]?.text.map { "\($0), " } ?? ""
        headers[name.lowercased()] = .text(known + value)
      }
      return [
        .table([
          "status": .integer(Int64(response.status.code)), "headers": .table(headers),
          "body": LuaValue(bytes: Array(body.readableBytesView)),
        ])
      ]
    } catch is NIOTooManyBytesError {
      return [.null, .text("the response's body is longer than \(mostBodyBytes) bytes")]
    } catch {
      return [.null, .text("\(error)")]
    }
  }
}

extension LuaValue {
  init(bytes: [UInt8]) {
    self = String(validating: bytes, as: UTF8.self).map { .text($0) } ?? .bytes(bytes)
  }
}

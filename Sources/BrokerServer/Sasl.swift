import AMQPWire

/// The SASL mechanisms of the broker itself, and how their responses are read. Knows no user.
enum Sasl: String, CaseIterable {
  case plain = "PLAIN"
  case amqplain = "AMQPLAIN"

  /// What `connection.start` lists: our own, then the others by name.
  static func offered(beside others: some Sequence<ByteString>) -> ByteString {
    let own = allCases.map(\.rawValue)
    let more = others.map(\.text).filter { !own.contains($0) && !$0.isEmpty && !$0.contains(" ") }
    return ByteString((own + more.sorted()).joined(separator: " "))
  }

  struct Credentials {
    let user: ByteString
    let password: ByteString
  }

  /// - Throws: 502 if the response is not what the mechanism says.
  func credentials(from response: ByteString) throws(ProtocolError) -> Credentials {
    switch self {
    case .plain: try Self.plain(response)
    case .amqplain: try Self.amqplain(response)
    }
  }

  /// RFC 4616: authorisation identity, NUL, user name, NUL, password. The first has to be empty: nobody acts
  /// for somebody else here.
  private static func plain(_ response: ByteString) throws(ProtocolError) -> Credentials {
    let parts = response.bytes.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].isEmpty, !parts[2].contains(0) else {
      throw ProtocolError(
        .syntaxError,
        "PLAIN response of \(response.count) octets is not: NUL, user name, NUL, password")
    }
    return Credentials(user: ByteString(Array(parts[1])), password: ByteString(Array(parts[2])))
  }

  /// A field table without its length, with LOGIN and PASSWORD: RabbitMQ's own mechanism.
  private static func amqplain(_ response: ByteString) throws(ProtocolError) -> Credentials {
    let table: FieldTable
    do throws(ProtocolError) {
      table = try response.withOctets { (octets) throws(ProtocolError) -> FieldTable in
        try FieldReader.fields(of: octets)
      }
    } catch {
      throw ProtocolError(.syntaxError, "AMQPLAIN response is not a table: \(error.text)")
    }
    guard let user = table["LOGIN"]?.string, let password = table["PASSWORD"]?.string else {
      throw ProtocolError(
        .syntaxError, "AMQPLAIN auth info is missing LOGIN or PASSWORD field, both expected as longstr")
    }
    return Credentials(user: user, password: password)
  }
}

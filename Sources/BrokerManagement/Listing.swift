/// How a list is asked for: names, order, columns and pages (https://www.rabbitmq.com/docs/management#http-api). Knows
/// no path.

internal import BrokerCore
internal import Hummingbird
internal import LuaRuntime

struct Listing: Sendable {
  private let query: [String: String]

  init(_ call: Call) { query = call.query }

  /// - Throws: 400 for a page that there cannot be, or a pattern that is none
  func response(_ items: [LuaValue]) throws -> Response {
    let found = try named(items)
    let sorted = sorted(found)
    guard let text = query["page"] else { return .json(.list(sorted.map(columns))) }
    guard let page = Int(text), page > 0, let size = Int(query["page_size"] ?? "100"), 1...500 ~= size else {
      throw Refusal.badRequest("page_error: page has to be positive, and page_size from 1 to 500")
    }
    let pages = max(1, (sorted.count + size - 1) / size)
    guard page <= pages else {
      throw Refusal.badRequest("page_out_of_range: page \(page), and there are \(pages)")
    }
    let shown = sorted[min(sorted.count, (page - 1) * size)..<min(sorted.count, page * size)]
    return .json(
      .table([
        "total_count": .integer(Int64(items.count)), "filtered_count": .integer(Int64(found.count)),
        "item_count": .integer(Int64(shown.count)), "page": .integer(Int64(page)),
        "page_size": .integer(Int64(size)), "page_count": .integer(Int64(pages)),
        "items": .list(shown.map(columns)),
      ]))
  }

  func response(_ item: LuaValue) -> Response { .json(columns(item)) }

  private func named(_ items: [LuaValue]) throws -> [LuaValue] {
    guard let name = query["name"], !name.isEmpty else { return items }
    guard query["use_regex"] == "true" else {
      let wanted = name.lowercased()
      return items.filter { $0["name"]?.text?.lowercased().contains(wanted) ?? false }
    }
    let pattern: Pattern
    do { pattern = try Pattern(name) } catch {
      throw Refusal.badRequest("name: '\(name)' is no regular expression: \(error.reason)")
    }
    return items.filter { item in
      guard let name = item["name"]?.text else { return false }
      return Array(name.utf8).withUnsafeBytes { pattern.matches($0) }
    }
  }

  private func sorted(_ items: [LuaValue]) -> [LuaValue] {
    guard let key = query["sort"], !key.isEmpty else { return items }
    let keyed = items.map { (key: Self.value(key, in: $0), item: $0) }
    let sorted = keyed.sorted { Self.isBefore($0.key, $1.key) }.map(\.item)
    return query["sort_reverse"] == "true" ? sorted.reversed() : sorted
  }

  /// Numbers before words; what is missing first.
  private static func isBefore(_ left: LuaValue?, _ right: LuaValue?) -> Bool {
    func rank(_ value: LuaValue?) -> (Int, Double, String) {
      switch value {
      case .integer(let number)?: (1, Double(number), "")
      case .number(let number)?: (1, number, "")
      case .boolean(let flag)?: (2, flag ? 1 : 0, "")
      case .text(let text)?: (3, 0, text)
      default: (0, 0, "")
      }
    }
    return rank(left) < rank(right)
  }

  /// A dotted path: `message_stats.publish_details.rate`.
  private static func value(_ path: String, in item: LuaValue) -> LuaValue? {
    path.split(separator: ".").reduce(item) { value, name in value?[String(name)] }
  }

  private func columns(_ item: LuaValue) -> LuaValue {
    guard let columns = query["columns"], !columns.isEmpty else { return item }
    var chosen: LuaValue = .table([:])
    for path in columns.split(separator: ",") {
      guard let value = Self.value(String(path), in: item) else { continue }
      chosen = Self.putting(value, at: path.split(separator: ".").map(String.init)[...], into: chosen)
    }
    return chosen
  }

  private static func putting(_ value: LuaValue, at path: ArraySlice<String>, into item: LuaValue?)
    -> LuaValue
  {
    guard let name = path.first else { return value }
    var fields: [String: LuaValue] = [:]
    if case .table(let known)? = item { fields = known }
    fields[name] = putting(value, at: path.dropFirst(), into: fields[name])
    return .table(fields)
  }
}

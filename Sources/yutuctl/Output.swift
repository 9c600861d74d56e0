import Foundation

/// How a command's result is written: rabbitmqctl's formats. Knows no command.
struct Output: Sendable {
  enum Format: String, CaseIterable {
    case table, json, csv
    case pretty = "pretty_table"
    case erlang
  }

  var format = Format.table
  /// No line that says what is being done.
  var isQuiet = false
  /// Nor a table's heads.
  var isSilent = false

  func banner(_ text: String) {
    // Who reads JSON wants nothing else, as with rabbitmqctl.
    if !isQuiet, !isSilent, format != .json, format != .csv { write(text) }
  }

  func write(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

  func table(_ columns: [String], _ rows: [JSON]) {
    let cells = rows.map { row in columns.map { row[$0] ?? .null } }
    switch format {
    case .json:
      write(
        JSON.list(cells.map { .object(Dictionary(zip(columns, $0)) { first, _ in first }) }).compact)
    case .csv:
      if !isSilent { write(columns.map(Self.quoted).joined(separator: ",")) }
      for row in Self.shown(columns, cells) { write(row.map(Self.quoted).joined(separator: ",")) }
    case .pretty: pretty(columns, Self.shown(columns, cells))
    case .table, .erlang:
      if !isSilent, !rows.isEmpty { write(columns.joined(separator: "\t")) }
      for row in Self.shown(columns, cells) { write(row.joined(separator: "\t")) }
    }
  }

  private static func shown(_ columns: [String], _ rows: [[JSON]]) -> [[String]] {
    rows.map { row in zip(columns, row).map { tables.contains($0) ? $1.inErlang : $1.shown } }
  }

  /// What a client gave as a table of AMQP: scripts look for {"connection_name","mine"}.
  private static let tables: Set = ["arguments", "client_properties"]

  /// Names and values, one a line.
  func record(_ fields: [(name: String, value: JSON)]) {
    switch format {
    case .json:
      write(JSON.object(Dictionary(fields.map { ($0.name, $0.value) }) { first, _ in first }).compact)
    default: for field in fields { write("\(field.name): \(field.value.shown)") }
    }
  }

  private static func quoted(_ cell: String) -> String {
    "\"" + cell.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }

  private func pretty(_ columns: [String], _ rows: [[String]]) {
    let widths = columns.indices.map { column in
      ([columns[column]] + rows.map { $0[column] }).map(\.count).max() ?? 0
    }
    func line(_ left: String, _ middle: String, _ right: String) -> String {
      left + widths.map { String(repeating: "─", count: $0 + 2) }.joined(separator: middle) + right
    }
    func row(_ cells: [String]) -> String {
      "│ "
        + zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(
          separator: " │ ") + " │"
    }
    write(line("┌", "┬", "┐"))
    write(row(columns))
    for cells in rows {
      write(line("├", "┼", "┤"))
      write(row(cells))
    }
    write(line("└", "┴", "┘"))
  }
}

/// From a file's text to a `Configuration`: syntax, unknown keys, wrong values, each with its line. Knows no
/// key by name but `plugins`.

internal import BrokerScripting
internal import Foundation
internal import LuaRuntime

package enum ConfigurationFile {
  static let mostOctets = 1 << 20
  /// Of a setting's name: what the interpreter takes.
  static let nameOctets = 255

  /// Paths in the file are beside the file.
  /// - Throws: all that is wrong
  package static func read(_ path: String) throws(ConfigurationError) -> Configuration {
    let octets: Data
    do { octets = try Data(contentsOf: URL(filePath: path), options: []) } catch {
      let reason = (error as NSError).userInfo[NSUnderlyingErrorKey].map { "\($0)" }
      let isThere = FileManager.default.fileExists(atPath: path)
      throw ConfigurationError(problems: [
        "\(path): \(isThere ? "cannot be read\(reason.map { ": \($0)" } ?? "")" : "no such file")"
      ])
    }
    guard octets.count <= mostOctets else {
      throw ConfigurationError(problems: ["\(path): is larger than \(mostOctets) octets"])
    }
    guard let text = String(validating: octets, as: UTF8.self) else {
      throw ConfigurationError(problems: ["\(path): is no UTF-8"])
    }
    var configuration = try parse(text, path: path)
    let folder = URL(filePath: path).deletingLastPathComponent()
    if configuration.said.contains("scripting.plugins"), !configuration.plugins.hasPrefix("/") {
      configuration.plugins = folder.appending(path: configuration.plugins).relativePath
    }
    if let file = configuration.definitions, !file.hasPrefix("/") {
      configuration.definitions = folder.appending(path: file).relativePath
    }
    return configuration
  }

  /// - Parameter path: for the errors
  package static func parse(_ text: String, path: String) throws(ConfigurationError) -> Configuration {
    var reader = Reader(path: path)
    do { reader.read(try TOML.parse(text)) } catch {
      throw ConfigurationError(problems: ["\(path):\(error.line): \(error.text)"])
    }
    guard reader.problems.isEmpty else {
      throw ConfigurationError(problems: reader.problems.sorted { $0.line < $1.line }.map(\.text))
    }
    return reader.configuration
  }

  private struct Reader {
    let path: String
    var configuration = Configuration()
    var problems: [(line: Int, text: String)] = []

    mutating func complain(_ key: [String], _ line: Int, _ problem: String) {
      problems.append((line, "\(path):\(line): \(TOML.shown(key)): \(problem)"))
    }

    mutating func read(_ root: TOMLTable) {
      for (section, entry) in root.fields {
        guard ConfigurationKey.sections.contains(section) || section == "plugins" else {
          let known = ConfigurationKey.sections + ["plugins"]
          let hint =
            Spelling.nearest(to: section, among: known).map { "did you mean '\($0)'?" }
            ?? "expected [\(known.joined(separator: "], ["))]"
          complain([section], entry.line, "unknown; \(hint)")
          continue
        }
        guard case .table(let table) = entry.value else {
          complain([section], entry.line, "\(Self.shown(entry.value)), expected a section [\(section)]")
          continue
        }
        if section == "plugins" { readPlugins(table) } else { readSection(section, table) }
      }
    }

    mutating func readSection(_ section: String, _ table: TOMLTable) {
      let keys = ConfigurationKey.all.filter { $0.section == section }
      for (name, entry) in table.fields {
        guard let key = keys.first(where: { $0.name == name }) else {
          let known = keys.map(\.name)
          let hint =
            Spelling.nearest(to: name, among: known).map { "did you mean '\($0)'?" }
            ?? "[\(section)] has \(known.joined(separator: ", "))"
          complain([section, name], entry.line, "unknown; \(hint)")
          continue
        }
        guard let value = luaValue(entry, at: [section, name]) else { continue }
        if key.set(&configuration, value) {
          configuration.said.insert(key.path)
        } else {
          complain([section, name], entry.line, "\(value.shown), expected \(key.expected)")
        }
      }
    }

    mutating func readPlugins(_ table: TOMLTable) {
      for (plugin, entry) in table.fields {
        guard case .table(let settings) = entry.value else {
          complain(
            ["plugins", plugin], entry.line,
            "\(Self.shown(entry.value)), expected a section [plugins.\(plugin)]")
          continue
        }
        configuration.said.insert("plugins.\(plugin)")
        for (name, entry) in settings.fields {
          let key = ["plugins", plugin, name]
          guard fits(name, at: key, entry.line), let value = luaValue(entry, at: key) else { continue }
          if name != "enabled" {
            configuration.pluginSettings[plugin, default: [:]][name] = value
          } else if case .boolean(let flag) = value {
            configuration.enabled[plugin] = flag
          } else {
            complain(key, entry.line, "\(value.shown), expected true or false")
          }
        }
      }
    }

    private mutating func fits(_ name: String, at key: [String], _ line: Int) -> Bool {
      guard name.utf8.count > nameOctets else { return true }
      complain(key.dropLast(), line, "the name '\(name.prefix(40))…' has more than \(nameOctets) octets")
      return false
    }

    /// Complains and gives nil where Lua has no such value. Not deeper than the file itself may be.
    private mutating func luaValue(_ entry: TOMLEntry, at key: [String]) -> LuaValue? {
      switch entry.value {
      case .plain(let value): return value
      case .date(let text):
        complain(key, entry.line, "\(text) is a date or time; put it in quotes")
        return nil
      case .list(let entries): return list(entries, at: key)
      case .tables(let tables):
        return list(tables.tables.map { TOMLEntry(line: $0.line, value: .table($0)) }, at: key)
      case .table(let table):
        var fields: [String: LuaValue] = [:]
        for (name, entry) in table.fields {
          guard fits(name, at: key + [name], entry.line) else { return nil }
          guard let value = luaValue(entry, at: key + [name]) else { return nil }
          fields[name] = value
        }
        return .table(fields)
      }
    }

    private mutating func list(_ entries: [TOMLEntry], at key: [String]) -> LuaValue? {
      var items: [LuaValue] = []
      for (index, entry) in entries.enumerated() {
        guard let item = luaValue(entry, at: key + ["\(index + 1)"]) else { return nil }
        items.append(item)
      }
      return .list(items)
    }

    private static func shown(_ value: TOMLValue) -> String {
      switch value {
      case .plain(let value): value.shown
      case .date(let text): text
      case .list, .tables: "a list"
      case .table: "a table"
      }
    }
  }

  // MARK: the file with all defaults

  private static func comment(_ text: String) -> String {
    var lines = ["#"]
    for word in text.split(separator: " ") {
      if lines[lines.count - 1].count + word.count > 98 { lines.append("#") }
      lines[lines.count - 1] += " \(word)"
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Every key with its default, or how it may be set; `parse` takes it and gives the defaults.
  package static var standard: String {
    var text = """
      # Yutu's configuration: yutu serve --config FILE. Every key may be left out; what stands here is
      # what holds then. Options of the command line win. `yutu config check FILE` says what is wrong.

      """
    for section in ConfigurationKey.sections {
      text += "\n[\(section)]\n"
      for key in ConfigurationKey.all where key.section == section {
        text += comment(key.about)
        text += key.standard.map { "\(key.name) = \($0)\n" } ?? "# \(key.name) = \(key.sample)\n"
      }
    }
    text += """

      # A section for each plugin: whether it is enabled, and its settings (see `yutu plugin check`).
      # [plugins.rate-limit]
      # enabled = true

      """
    return text
  }
}

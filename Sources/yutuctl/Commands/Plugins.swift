/// Lua plugins: what they are, and which version of them is in force.
extension Command {
  static let plugins: [Command] = [
    Command(
      "list_plugins", in: .plugins, "[column …]", words: 0...20, "Lists plugins.",
      example: "list_plugins name in_force problem"
    ) { call in
      call.output.banner("Listing plugins ...")
      let columns = call.columns(["name", "in_force", "hooks", "problem"])
      try Columns.check(
        columns,
        [
          "name", "about", "path", "in_force", "enabled", "hooks", "problem", "memory_bytes", "settings",
          "usage",
        ])
      call.output.table(columns, try await call.ask(.get, "plugins").items)
    },
    Command(
      "reload_plugins", in: .plugins, words: 0...0, "Looks at the folder now.", example: "reload_plugins"
    ) { call in
      call.output.banner("Reloading plugins ...")
      call.show(try await call.ask(.post, "plugins", "reload"))
    },
    Command(
      "rollback_plugins", in: .plugins, "generation", words: 1...1,
      "Goes back to plugins as they were (0 is none; GET /api/plugins/generations lists them).",
      example: "rollback_plugins 3"
    ) { call in
      guard let generation = Int64(call.words[0]) else {
        throw Failure(.usage, "'\(call.words[0])' is no number of a generation")
      }
      call.output.banner("Rolling back to generation \(generation) ...")
      call.show(
        try await call.ask(.post, "plugins", "rollback", body: .object(["generation": .integer(generation)])))
    },
    Command(
      "explain_route", in: .plugins, "[-p vhost] exchange routing_key [headers]", words: 2...3,
      "Says what would become of a message, and publishes none.",
      example: "explain_route amq.topic a.b '{\"price\": 5}'"
    ) { call in
      var fields: [String: JSON] = [
        "vhost": .text(call.vhost), "exchange": .text(call.words[0]), "routing_key": .text(call.words[1]),
      ]
      if call.words.count > 2 {
        fields["headers"] = try JSON(parsing: .init(call.words[2].utf8), "'\(call.words[2])'")
      }
      let told = try await call.ask(.post, "plugins", "explain", body: .object(fields))
      if call.output.format == .json { return call.output.write(told.compact) }
      for step in told["steps"]?.items ?? [] {
        call.output.write(
          "\(step["kind"]?.shown ?? "") \(step["name"]?.shown ?? ""): \(step["text"]?.shown ?? "")")
      }
      let queues = (told["queues"]?.items ?? []).map(\.shown).joined(separator: ", ")
      call.output.write("\(told["outcome"]?.shown ?? ""): \(queues.isEmpty ? "no queue" : queues)")
    },
  ]
}

extension Call {
  /// What a reload has done.
  fileprivate func show(_ report: JSON) {
    if output.format == .json { return output.write(report.compact) }
    output.write("generation \(report["generation"]?.shown ?? "")")
    for (word, key) in [("changed", "changed"), ("removed", "removed")] {
      for name in report[key]?.items ?? [] { output.write("\(word) \(name.shown)") }
    }
    guard case .object(let problems)? = report["problems"] else { return }
    for (name, problem) in problems.sorted(by: { $0.key < $1.key }) {
      output.write("\(name) keeps its version before: \(problem.shown)")
    }
  }
}

import Foundation

/// All that operators and clients have made, as one file.
extension Command {
  static let definitions: [Command] = [
    Command(
      "export_definitions", in: .definitions, "file | -", words: 1...1,
      "Writes users, virtual hosts, policies, queues, exchanges and bindings into a file.",
      example: "export_definitions definitions.json"
    ) { call in
      let path = call.words[0]
      let octets = try await call.ask(.get, "definitions").encoded(pretty: true)
      guard path != "-" else { return FileHandle.standardOutput.write(octets + Data("\n".utf8)) }
      call.output.banner("Exporting definitions in JSON to a file at \"\(path)\" ...")
      do { try octets.write(to: URL(fileURLWithPath: path)) } catch {
        throw Failure(.badData, "cannot write \(path): \(error.localizedDescription)")
      }
    },
    Command(
      "import_definitions", in: .definitions, "[file]", words: 0...1,
      "Makes what a file says, RabbitMQ's too; nothing is taken away.",
      example: "import_definitions definitions.json"
    ) { call in
      let octets: Data
      if let path = call.words.first {
        call.output.banner("Importing definitions in JSON from a file at \"\(path)\" ...")
        guard let read = FileManager.default.contents(atPath: path) else {
          throw Failure(.badData, "File \(path) does not exist or is not readable")
        }
        octets = read
      } else {
        call.output.banner("Importing definitions in JSON from standard input ...")
        octets = FileHandle.standardInput.readDataToEndOfFile()
      }
      try await call.ask(.post, "definitions", body: try JSON(parsing: octets, "the file"))
      call.output.banner(
        "Successfully started definition import. This process is asynchronous and can take some time.")
    },
  ]
}

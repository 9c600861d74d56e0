#if RocksDB
  import AMQPWire
  import BrokerCore

  /// Reads all of a store that nobody uses, and says what is wrong in it. Changes nothing.
  package struct StoreCheck {
    package struct Report: Equatable, Sendable {
      /// What there is, for a person.
      package var lines: [String] = []
      package var problems: [String] = []
      /// Problems above the bound are only counted.
      static let mostProblems = 1000

      var problemCount = 0

      mutating func problem(_ text: String) {
        problemCount += 1
        if problemCount <= Self.mostProblems { problems.append(text) }
      }
    }

    /// - Throws: `StoreError` if there is no store, if it has another format, or if it is in use
    package static func run(directory path: String) throws(StoreError) -> Report {
      let directory = try StoreDirectory(path: path, creates: false)
      defer { directory.release() }
      var report = Report()
      report.lines.append("\(path) has a store of format \(StoreDirectory.format)")
      do {
        try directory.refuseHeadless()
      } catch {
        report.problem("store/CURRENT is missing, though there are other files of a store")
        return report
      }
      guard StoreDirectory.exists(directory.storePath + "/CURRENT") else {
        report.lines.append("nothing was ever kept in it")
        return report
      }
      do throws(RocksFailure) {
        let database = try open(directory.storePath, &report)
        defer { database.close() }
        var check = StoreCheck(database: database, report: report)
        check.run()
        report = check.report
      } catch {
        report.problem("RocksDB cannot open the store: \(error.text)")
      }
      if report.problemCount > report.problems.count {
        report.problems.append("\(report.problemCount - report.problems.count) problems more")
      }
      return report
    }

    /// What can be read of a store whose log is damaged is read.
    private static func open(_ path: String, _ report: inout Report) throws(RocksFailure) -> RocksDatabase {
      do throws(RocksFailure) {
        return try RocksDatabase(path, readOnly: true, doubtsLog: true)
      } catch {
        let database = try RocksDatabase(path, readOnly: true)
        report.problem("the log is damaged, and what stands behind the damage is not read: \(error.text)")
        return database
      }
    }

    private let database: RocksDatabase
    private var report: Report
    private var cursors: [UInt64: StoreCursor] = [:]

    private init(database: RocksDatabase, report: Report) {
      self.database = database
      self.report = report
    }

    private mutating func run() {
      checkDefinitions()
      checkCursors()
      checkMessages()
      checkBodies()
    }

    // MARK: definitions and cursors

    private mutating func checkDefinitions() {
      let scan = RocksScan(database, .definitions, to: [UInt8](repeating: 255, count: 1024))
      var count = 0
      while scan.isAtKey {
        count += 1
        let key = String(decoding: scan.key, as: UTF8.self)
        if scan.key.isEmpty { report.problem("a definition has no key") }
        if (try? FieldReader.fields(of: scan.value)) == nil {
          report.problem("the definition \(key.debugDescription) is no table of fields")
        }
        scan.advance()
      }
      if let failure = scan.failure { report.problem("definitions: \(failure)") }
      report.lines.append("\(count) definitions")
    }

    private mutating func checkCursors() {
      let scan = RocksScan(database, .cursors, to: [255])
      while scan.isAtKey {
        let key = scan.key
        if key.count != RecordForm.cursorKeyCount || key[0] != RecordForm.cursorPrefix {
          report.problem("there is a key among the cursors that is none: \([UInt8](key))")
        } else if let cursor = RecordForm.cursor(scan.value) {
          cursors[RecordForm.number(key, 1)] = cursor
        } else {
          report.problem("the cursor of queue \(RecordForm.number(key, 1)) cannot be read")
        }
        scan.advance()
      }
      if let failure = scan.failure { report.problem("cursors: \(failure)") }
    }

    // MARK: messages

    private struct Found {
      var count = 0
      var octets = 0
      var below = 0
    }

    private mutating func checkMessages() {
      let scan = RocksScan(database, .messages, to: [UInt8](repeating: 255, count: 18))
      var found: [UInt64: Found] = [:]
      var last: (queue: UInt64, position: UInt64) = (0, 0)
      let reader = PageReader(database: database)
      while true {
        guard scan.isAtKey else {
          guard let failure = scan.failure else { break }
          report.problem("messages of queue \(last.queue) from \(last.position) on: \(failure)")
          guard pass(scan, last) else { break }
          continue
        }
        if let key = RecordForm.message(scan.key) {
          count(&found[key.queue, default: Found()], key.queue, key.position, scan.value, reader)
          last = (key.queue, key.position &+ 1)
        } else {
          report.problem("there is a key among the messages that is none: \([UInt8](scan.key))")
        }
        scan.advance()
      }
      compare(found)
    }

    /// Goes on behind what cannot be read: in the queue, or with the next one that has a cursor.
    private func pass(_ scan: RocksScan, _ last: (queue: UInt64, position: UInt64)) -> Bool {
      let end = (cursors[last.queue]?.tail ?? last.position) &+ 1
      if last.position < end, scan.passDamage(last.queue, last.position..<end) { return true }
      for queue in cursors.keys.filter({ $0 > last.queue }).sorted() {
        if scan.passDamage(queue, 0..<((cursors[queue]?.tail ?? 0) &+ 1)) { return true }
      }
      return false
    }

    private mutating func count(
      _ found: inout Found, _ queue: UInt64, _ position: UInt64, _ value: UnsafeRawBufferPointer,
      _ reader: PageReader
    ) {
      guard position >= cursors[queue]?.head ?? 0 else {
        found.below += 1
        return
      }
      guard let record = RecordForm.Record(value) else {
        return report.problem("queue \(queue) has a damaged record at \(position)")
      }
      switch reader.message(record) {
      case .success(let message):
        found.count += 1
        found.octets += message.octets.count
      case .failure(let failure): report.problem("queue \(queue) has at \(position) \(failure.text)")
      }
    }

    private mutating func compare(_ found: [UInt64: Found]) {
      var total = Found()
      for (queue, cursor) in cursors.sorted(by: { $0.key < $1.key }) {
        let here = found[queue] ?? Found()
        total.count += here.count
        total.octets += here.octets
        total.below += here.below
        if (here.count, here.octets) != (cursor.count, cursor.octets) {
          report.problem(
            "queue \(queue) should have \(cursor.count) messages of \(cursor.octets) octets,"
              + " and has \(here.count) of \(here.octets)")
        }
      }
      for (queue, here) in found.sorted(by: { $0.key < $1.key }) where cursors[queue] == nil {
        report.problem("there are \(here.count) messages of queue \(queue), which has no cursor")
      }
      report.lines.append(
        "\(cursors.count) queues with \(total.count) messages of together \(total.octets) octets")
      if total.below > 0 {
        report.lines.append("\(total.below) messages that are not wanted any more, and go with time")
      }
    }

    // MARK: bodies

    private mutating func checkBodies() {
      var needed: [SharedBody: Bool] = [:]
      let markers = RocksScan(
        database, .bodies, from: [RecordForm.markerPrefix], to: [RecordForm.markerPrefix + 1])
      while markers.isAtKey {
        let key = markers.key
        if key.count == RecordForm.bodyKeyCount || key.count == RecordForm.markerKeyCount {
          let name = SharedBody(queue: RecordForm.number(key, 1), position: RecordForm.number(key, 9))
          needed[name] = needed[name] ?? false || key.count == RecordForm.markerKeyCount
        } else {
          report.problem("there is a key among the bodies that is none: \([UInt8](key))")
        }
        markers.advance()
      }
      if let failure = markers.failure { report.problem("markers of bodies: \(failure)") }
      var octets = 0
      let total = needed.count
      let unneeded = needed.values.filter { !$0 }.count
      let bodies = RocksScan(
        database, .bodies, from: [RecordForm.bodyPrefix], to: [RecordForm.bodyPrefix + 1])
      while bodies.isAtKey {
        octets += bodies.value.count
        checkBody(bodies.key, &needed)
        bodies.advance()
      }
      if let failure = bodies.failure { return report.problem("bodies: \(failure)") }
      for name in needed.keys.sorted(by: { ($0.queue, $0.position) < ($1.queue, $1.position) }) {
        report.problem("the body \(name.queue)/\(name.position) is needed, and is missing")
      }
      report.lines.append("\(total) bodies that are kept for several queues, of together \(octets) octets")
      // A process that was killed leaves some.
      if unneeded > 0 {
        report.lines.append("\(unneeded) of them no message needs any more; the next start takes them away")
      }
    }

    private mutating func checkBody(_ key: UnsafeRawBufferPointer, _ needed: inout [SharedBody: Bool]) {
      guard key.count == RecordForm.bodyKeyCount else {
        return report.problem("there is a key among the bodies that is none: \([UInt8](key))")
      }
      let name = SharedBody(queue: RecordForm.number(key, 1), position: RecordForm.number(key, 9))
      if needed.removeValue(forKey: name) == nil {
        report.problem("no message needs the body \(name.queue)/\(name.position), and no sweep will find it")
      }
    }
  }
#endif

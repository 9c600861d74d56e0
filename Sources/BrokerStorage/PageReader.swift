#if RocksDB
  import BrokerCore

  /// Reads pages of a queue. Runs on the reader's thread. Trusts nothing that it reads.
  struct PageReader {
    let database: RocksDatabase

    func read(_ page: StorePage) -> StorePageRead {
      var problems: [String] = []
      var records: ContiguousArray<StoreRecord> = []
      let durable = page.hasDurable ? scan(page, .messages) : nil
      // Ranges of transient messages are few, and always respected.
      let transient = page.hasTransient ? scan(page, .transient) : nil
      var octets = 0
      var reachedEnd = true
      var (behindDurable, behindTransient) = (page.positions.lowerBound, page.positions.lowerBound)
      while true {
        let first = position(durable, behind: &behindDurable, page, &problems)
        let other = position(transient, behind: &behindTransient, page, &problems)
        guard first != nil || other != nil else { break }
        guard records.count < max(page.mostMessages, 1), octets < page.mostOctets || records.isEmpty else {
          reachedEnd = false
          break
        }
        let isTransient = (other ?? .max) < (first ?? .max)
        guard let scan = isTransient ? transient : durable, let position = isTransient ? other : first else {
          break
        }
        if let record = record(scan, position, isTransient: isTransient, page, &problems) {
          octets += record.message.octets.count
          records.append(record)
        }
        scan.advance()
      }
      return StorePageRead(records: records, reachedEnd: reachedEnd, problem: text(problems))
    }

    private func scan(_ page: StorePage, _ family: RocksDatabase.Family) -> RocksScan? {
      guard !page.positions.isEmpty else { return nil }
      return RocksScan(
        database, family, from: RecordForm.messageKey(page.queue, page.positions.lowerBound),
        to: RecordForm.messageKey(page.queue, page.positions.upperBound),
        ignoresRanges: family == .messages && !page.respectsRanges)
    }

    /// Where the scan is, nil if at the end. What cannot be read, or is no message's key, is passed over.
    private func position(
      _ scan: RocksScan?, behind last: inout UInt64, _ page: StorePage, _ problems: inout [String]
    ) -> UInt64? {
      guard let scan else { return nil }
      while true {
        while scan.isAtKey {
          if let key = RecordForm.message(scan.key) {
            last = key.position + 1
            return key.position
          }
          problems.append("queue \(page.queue) has a key that is none of a message")
          scan.advance()
        }
        guard let failure = scan.failure else { return nil }
        problems.append("queue \(page.queue) cannot be read from \(last) on: \(failure)")
        guard last < page.positions.upperBound,
          scan.passDamage(page.queue, last..<page.positions.upperBound)
        else { return nil }
      }
    }

    private func record(
      _ scan: RocksScan, _ position: UInt64, isTransient: Bool, _ page: StorePage, _ problems: inout [String]
    ) -> StoreRecord? {
      guard let record = RecordForm.Record(scan.value) else {
        problems.append("queue \(page.queue) has a damaged record at \(position)")
        return nil
      }
      switch message(record) {
      case .success(let message):
        message.header.sharedBody = record.sharedBody
        return StoreRecord(
          queue: page.queue, position: position, message: message, isTransient: isTransient,
          extra: record.extra,
          sharedBody: record.sharedBody)
      case .failure(let failure):
        problems.append("queue \(page.queue) has at \(position) \(failure.text)")
        return nil
      }
    }

    /// The message of a record, with its body from where it stands.
    func message(_ record: RecordForm.Record) -> Result<Message, RocksFailure> {
      guard let name = record.sharedBody else { return restored(record, nil) }
      do {
        return try database.get(.bodies, RecordForm.bodyKey(name)) { body in
          guard let body else { return .failure(RocksFailure(text: "a record whose body is missing")) }
          guard record.octets.count == record.envelopeCount + record.propertiesCount else {
            return .failure(RocksFailure(text: "a damaged record"))
          }
          return restored(record, body)
        }
      } catch {
        return .failure(RocksFailure(text: "a record whose body cannot be read: \(error.text)"))
      }
    }

    private func restored(
      _ record: RecordForm.Record, _ body: UnsafeRawBufferPointer?
    ) -> Result<Message, RocksFailure> {
      let message = Message.restored(
        record.octets, envelopeCount: record.envelopeCount, propertiesCount: record.propertiesCount,
        body: body)
      guard let message else { return .failure(RocksFailure(text: "a damaged record")) }
      return .success(message)
    }

    /// The first of them, and how many more there are.
    private func text(_ problems: [String]) -> String? {
      guard let first = problems.first else { return nil }
      return problems.count == 1 ? first : "\(first) (and \(problems.count - 1) problems more)"
    }
  }
#endif

#if RocksDB
  import BrokerCore

  /// How keys and values look. Numbers are big endian, so that the order of the octets is theirs.
  ///
  ///     cursors    c · queue 8                             cursor
  ///     messages   queue 8 · level 1 · position 8          record (also transient ones, in their family)
  ///     bodies     b · queue 8 · position 8                body
  ///                m · queue 8 · position 8                nothing: there is a body of that name
  ///                m · queue 8 · position 8 · queue 8 · position 8
  ///                                                        nothing: the message there needs that body
  ///
  /// What a sweep looks at stands apart from the bodies, so that it reads none of them.
  enum RecordForm {
    static let messageKeyCount = 17
    static let bodyKeyCount = 17
    static let markerKeyCount = 33
    static let cursorKeyCount = 9

    static let bodyPrefix = UInt8(ascii: "b")
    static let markerPrefix = UInt8(ascii: "m")
    static let cursorPrefix = UInt8(ascii: "c")

    // hot:
    @inline(__always)
    static func put(_ number: UInt64, _ to: UnsafeMutableRawPointer) {
      to.storeBytes(of: number.bigEndian, as: UInt64.self)
    }

    @inline(__always)
    static func number(_ from: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
      UInt64(bigEndian: from.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    static func octets(_ number: UInt64) -> [UInt8] {
      withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) }
    }

    // MARK: keys

    static func messageKey(_ queue: UInt64, _ position: UInt64) -> [UInt8] {
      octets(queue) + [0] + octets(position)
    }

    /// Above all messages of the queue: there is no level 255.
    static func endOfQueue(_ queue: UInt64) -> [UInt8] { octets(queue) + [255] }

    /// - Returns: nil if it is none
    static func message(_ key: UnsafeRawBufferPointer) -> (queue: UInt64, position: UInt64)? {
      guard key.count == messageKeyCount, key[8] == 0 else { return nil }
      return (number(key, 0), number(key, 9))
    }

    static func cursorKey(_ queue: UInt64) -> [UInt8] { [cursorPrefix] + octets(queue) }

    static func bodyKey(_ body: SharedBody, _ prefix: UInt8 = bodyPrefix) -> [UInt8] {
      [prefix] + octets(body.queue) + octets(body.position)
    }

    static func markerKey(_ body: SharedBody, queue: UInt64, position: UInt64) -> [UInt8] {
      bodyKey(body, markerPrefix) + octets(queue) + octets(position)
    }

    // MARK: cursors

    private static let cursorVersion: UInt8 = 1

    static func octets(_ cursor: StoreCursor) -> [UInt8] {
      var made: [UInt8] = [cursorVersion]
      made.reserveCapacity(49)
      for number in [
        cursor.head, cursor.tail, UInt64(clamping: cursor.count), UInt64(clamping: cursor.octets),
        cursor.deliveredUpTo, cursor.holesBelow,
      ] {
        made += octets(number)
      }
      return made
    }

    /// - Returns: nil if it is none
    static func cursor(_ value: UnsafeRawBufferPointer) -> StoreCursor? {
      guard value.count == 49, value[0] == cursorVersion, let count = Int(exactly: number(value, 17)),
        let octets = Int(exactly: number(value, 25))
      else { return nil }
      return StoreCursor(
        head: number(value, 1), tail: number(value, 9), count: count, octets: octets,
        deliveredUpTo: number(value, 33), holesBelow: number(value, 41))
    }

    // MARK: records

    ///     +------------------+------------+--------------+-----------------+---------------+------+--------+
    ///     | version 4 flags 4 | envelope 2 | properties 4 | due 8, note's 4 | body's name 16 | expires 8 | note | octets |
    ///     +------------------+------------+--------------+-----------------+---------------+-----------+------+--------+
    ///                                                     if flag 1         if flag 2       if flag 4
    static let recordVersion: UInt8 = 0x10
    static let hasExtra: UInt8 = 1
    static let hasSharedBody: UInt8 = 2
    static let hasExpiry: UInt8 = 4
    static let isRedelivered: UInt8 = 8
    static let mostHeaderCount = 7 + 12 + 16 + 8

    /// Writes what stands before the note and the message.
    /// - Returns: how many octets, at most `mostHeaderCount`
    // hot:
    static func putHeader(
      _ to: UnsafeMutableRawPointer, envelopeCount: Int, propertiesCount: Int, extra: StoredExtra,
      sharedBody: SharedBody?
    ) -> Int {
      var flags: UInt8 = 0
      var count = 7
      to.storeBytes(of: UInt16(truncatingIfNeeded: envelopeCount).bigEndian, toByteOffset: 1, as: UInt16.self)
      to.storeBytes(
        of: UInt32(truncatingIfNeeded: propertiesCount).bigEndian, toByteOffset: 3, as: UInt32.self)
      if extra.dueMilliseconds != 0 || !extra.note.isEmpty {
        flags |= hasExtra
        put(extra.dueMilliseconds, to + count)
        to.storeBytes(
          of: UInt32(truncatingIfNeeded: extra.note.count).bigEndian, toByteOffset: count + 8, as: UInt32.self
        )
        count += 12
      }
      if let sharedBody {
        flags |= hasSharedBody
        put(sharedBody.queue, to + count)
        put(sharedBody.position, to + count + 8)
        count += 16
      }
      if extra.expiresMilliseconds != 0 {
        flags |= hasExpiry
        put(extra.expiresMilliseconds, to + count)
        count += 8
      }
      if extra.isRedelivered { flags |= isRedelivered }
      to.storeBytes(of: recordVersion | flags, as: UInt8.self)
      return count
    }

    /// A record as it stands in a value, which has to stay where it is.
    struct Record {
      let envelopeCount: Int
      let propertiesCount: Int
      let extra: StoredExtra
      let sharedBody: SharedBody?
      let octets: UnsafeRawBufferPointer

      /// - Returns: nil if it is none
      init?(_ value: UnsafeRawBufferPointer) {
        guard value.count >= 7, value[0] & 0xF0 == recordVersion else { return nil }
        envelopeCount = Int(UInt16(bigEndian: value.loadUnaligned(fromByteOffset: 1, as: UInt16.self)))
        propertiesCount = Int(UInt32(bigEndian: value.loadUnaligned(fromByteOffset: 3, as: UInt32.self)))
        var offset = 7
        var due: UInt64 = 0
        var noteCount = 0
        if value[0] & hasExtra != 0 {
          guard value.count >= offset + 12 else { return nil }
          due = number(value, offset)
          noteCount = Int(
            UInt32(bigEndian: value.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self)))
          offset += 12
        }
        if value[0] & hasSharedBody != 0 {
          guard value.count >= offset + 16 else { return nil }
          sharedBody = SharedBody(queue: number(value, offset), position: number(value, offset + 8))
          offset += 16
        } else {
          sharedBody = nil
        }
        var expires: UInt64 = 0
        if value[0] & hasExpiry != 0 {
          guard value.count >= offset + 8 else { return nil }
          expires = number(value, offset)
          offset += 8
        }
        guard value.count - offset >= noteCount else { return nil }
        let note = noteCount == 0 ? [] : [UInt8](value[offset..<offset + noteCount])
        extra = StoredExtra(
          dueMilliseconds: due, expiresMilliseconds: expires,
          isRedelivered: value[0] & RecordForm.isRedelivered != 0, note: note)
        octets = UnsafeRawBufferPointer(rebasing: value[(offset + noteCount)...])
      }
    }
  }
#endif

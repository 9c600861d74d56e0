/// Mutated octets through every decoder: none traps, all agree with the table codec, and what is read
/// comes back when it is written and read once more.
///
///     FUZZ_SEED=3 swift test --filter FuzzTests      one seed, each input on standard error before its turn
///     FUZZ_INPUTS=1000000 swift test --filter ...    so many inputs a seed
import AMQPWire
import Foundation
import Testing

private let environment = ProcessInfo.processInfo.environment

@Suite struct FuzzTests {
  static let onlySeed = environment["FUZZ_SEED"].flatMap { UInt64($0) }
  /// 16 seeds so that every core has some. A seed that failed is added, with what it found.
  static let seeds = onlySeed.map { [$0] } ?? Array(1...16)
  static let inputs = environment["FUZZ_INPUTS"].flatMap { Int($0) } ?? 13_000

  @Test(arguments: seeds)
  func `mutated octets are refused, or read as by the table codec, and never trap`(_ seed: UInt64) {
    note("fuzz: seed \(seed), \(Self.inputs) inputs")
    var chance = SplitMix64(seed: seed)
    let corpus = Corpus(&chance)
    var accepted = 0
    for number in 0..<Self.inputs {
      let input = corpus.input(number, &chance)
      if Self.onlySeed != nil { note("\(number) \(input)") }
      switch input.verdict {
      case .accepted: accepted += 1
      case .refused: break
      case .wrong(let what):
        Issue.record("seed \(seed), input \(number): \(what): \(input)")
        return
      }
    }
    // A fuzzer whose inputs are all refused, or all read, tests half of the code.
    #expect((Self.inputs / 10..<Self.inputs * 9 / 10).contains(accepted))
  }
}

/// At once, so that it is seen although a trap follows.
private func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

/// Well-formed octets, from which inputs are made.
private struct Corpus {
  private var frames: [(method: GrammarMethod, octets: [UInt8])] = []
  private var contents: [[UInt8]] = []
  private var tables: [[UInt8]] = []

  init(_ chance: inout SplitMix64) {
    for method in Grammar.methods {
      let payload = TableCodec.encode(method, chance.values(of: method))
      frames.append((method, TableCodec.frame(type: 1, channel: 1, payload: payload)))
    }
    for _ in 0..<30 {
      var values: [UInt16: TableValue] = [:]
      for property in Grammar.properties where chance.oneIn(3) {
        values[property.flag] = chance.value(of: property.field.shape)
      }
      contents.append([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9] + TableCodec.encode(properties: values))
      tables.append(TableCodec.encode(table: chance.table(depth: 0)))
    }
  }

  /// The input of that number: half of them are methods, and each method has its turn.
  func input(_ number: Int, _ chance: inout SplitMix64) -> Input {
    switch number % 4 {
    case 0, 2:
      let (origin, octets) = frames[number / 2 % frames.count]
      let frame = chance.mutated(octets, with: frames[chance.below(frames.count)].octets)
      // One time in eight as another method than its octets say.
      return .frame(frame, as: chance.oneIn(8) ? chance.pick(Grammar.methods) : origin)
    case 1: return .content(chance.mutated(chance.pick(contents), with: chance.pick(tables)))
    default: return .table(chance.mutated(chance.pick(tables), with: chance.pick(contents)))
    }
  }
}

extension SplitMix64 {
  /// `octets` after one to three accidents; `other` is what may get into them.
  fileprivate mutating func mutated(_ octets: [UInt8], with other: [UInt8]) -> [UInt8] {
    var octets = octets
    for _ in 0...below(3) { mutate(&octets, with: other) }
    return octets
  }

  private mutating func mutate(_ octets: inout [UInt8], with other: [UInt8]) {
    guard !octets.isEmpty else {
      octets = other
      return
    }
    let place = below(octets.count)
    switch below(9) {
    case 0: octets[place] ^= 1 << UInt8(below(8))
    case 1: octets[place] = UInt8(below(256))
    case 2: octets[place] = pick([0, 1, 0x7F, 0x80, 0xC3, 0xFE, 0xFF])
    case 3: octets[place] = pick(Array("tbBsuIilLfdDSxTVFA".utf8))
    case 4: octets.removeSubrange(place...)
    case 5: octets.removeSubrange(place..<min(octets.count, place + 1 + below(8)))
    case 6:
      let start = below(other.count)
      octets.insert(contentsOf: other[start..<min(other.count, start + 1 + below(16))], at: place)
    case 7:
      // A length, where four octets are left for one.
      let length = pick([0, 1, octets.count, octets.count - place, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
      for index in 0..<min(4, octets.count - place) {
        octets[place + index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * index))
      }
    default: octets += (0...below(4)).map { _ in UInt8(below(256)) }
    }
  }
}

private enum Verdict {
  case accepted
  case refused
  case wrong(String)
}

/// Octets, and which decoders they go through.
private enum Input: CustomStringConvertible {
  case frame([UInt8], as: GrammarMethod)
  case content([UInt8])
  case table([UInt8])

  var verdict: Verdict {
    switch self {
    case .frame(let octets, let method): verdict(onFrame: octets, as: method)
    case .content(let octets): verdict(onContent: octets)
    case .table(let octets): verdict(onTable: octets)
    }
  }

  var description: String {
    func hex(_ octets: [UInt8]) -> String {
      octets.map { String(256 + Int($0), radix: 16).dropFirst() }.joined()
    }
    return switch self {
    case .frame(let octets, let method): "frame of \(method.name) \(hex(octets))"
    case .content(let octets): "content header \(hex(octets))"
    case .table(let octets): "table \(hex(octets))"
    }
  }

  private func verdict(onFrame octets: [UInt8], as method: GrammarMethod) -> Verdict {
    guard let header = FrameHeader(octets: octets) else {
      return octets.count < 7 ? .refused : .wrong("no frame header")
    }
    guard octets.count >= 7, header.length == header.size + 8, header.size >= 0 else {
      return .wrong("frame header of \(header.size) octets")
    }
    // Past class and method id, whether or not the header's size is still right.
    guard let type = methodsByID[method.id] else { return .wrong("no struct for \(method.name)") }
    return verdict(on: type, method, Array(octets.dropFirst(11).dropLast()))
  }

  private func verdict<M: Method>(on type: M.Type, _ grammar: GrammarMethod, _ arguments: [UInt8]) -> Verdict
  {
    let expected = TableCodec.decode(grammar, arguments: arguments)
    switch M.read(from: arguments) {
    case .success(let method):
      guard values(of: method) == expected else { return .wrong("not as the table codec reads it") }
      let written = method.frame(channel: 1)
      guard case .success(let again) = M.read(from: Array(written.dropFirst(11).dropLast())),
        values(of: again) == expected
      else { return .wrong("not the same when read again") }
      return .accepted
    case .failure(let error):
      guard expected == nil else { return .wrong("refused: \(error.text)") }
      return error.code == .frameError ? .refused : .wrong("refused as \(error.code)")
    }
  }

  private func verdict(onContent octets: [UInt8]) -> Verdict {
    guard ContentHeader(octets: octets) != nil else {
      return octets.count < 12 ? .refused : .wrong("no content header")
    }
    let octets = Array(octets.dropFirst(12))
    let expected = TableCodec.decode(properties: octets)
    switch (BasicProperties.read(from: octets), PropertyIndex.read(from: octets)) {
    case (.success(let properties), .success(let index)):
      guard properties.tableValues == expected else { return .wrong("not as the table codec reads it") }
      guard agree(index, with: properties, in: octets) else { return .wrong("the index says something else") }
      guard case .success(let again) = BasicProperties.read(from: properties.octets),
        again.tableValues == expected
      else { return .wrong("not the same when read again") }
      return .accepted
    case (.failure(let error), .failure(let indexError)):
      guard expected == nil else { return .wrong("refused: \(error.text)") }
      guard error.code == .frameError && indexError.code == .syntaxError else {
        return .wrong("refused as \(error.code) and \(indexError.code)")
      }
      return .refused
    case (.success, .failure), (.failure, .success): return .wrong("read but not indexed, or the reverse")
    }
  }

  private func verdict(onTable octets: [UInt8]) -> Verdict {
    let expected = TableCodec.decode(table: octets)
    let isSkipped = tableSkipped(in: octets).isSuccess
    switch tableRead(from: octets) {
    case .success(let table):
      guard table.fields.map({ TableField($0) }) == expected else {
        return .wrong("not as the table codec reads it")
      }
      guard isSkipped else { return .wrong("read but not skipped") }
      let written = AMQPWireTests.octets(of: table)
      guard case .success(let again) = tableRead(from: written),
        again.fields.map({ TableField($0) }) == expected
      else { return .wrong("not the same when read again") }
      guard case .success(let fields) = fields(of: Array(octets.dropFirst(4))),
        AMQPWireTests.octets(of: fields) == written
      else { return .wrong("something else without its length") }
      return .accepted
    case .failure(let error):
      guard expected == nil else { return .wrong("refused: \(error.text)") }
      return isSkipped ? .wrong("skipped but not read") : .refused
    }
  }

  private func values(of method: any Method) -> [TableValue] { AMQPWireTests.fields(of: method).map(\.value) }

  /// A table whose length is not among the octets.
  private func fields(of octets: [UInt8]) -> Result<FieldTable, ProtocolError> {
    reading(octets) { bytes throws(ProtocolError) in try FieldReader.fields(of: bytes) }
  }
}

/// Whose turn it is: round robin among equals, the higher priority first, nobody without credit.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

private struct Turn {
  let core = Core()
  let queue: Queue
  var consumers = Consumers()
  private(set) var holders: [ByteString: Holder] = [:]
  private var members: [ByteString: Consumer] = [:]

  init(_ names: [ByteString], priority: Int = 0) throws {
    queue = try core.queue("q")
    for name in names { add(name, priority: priority) }
  }

  mutating func add(_ name: ByteString, priority: Int = 0) {
    let holder = Holder()
    let consumer = holder.consumer(queue, tag: name, priority: priority)
    holders[name] = holder
    members[name] = consumer
    consumers.insert(consumer)
  }

  mutating func remove(_ name: ByteString) {
    guard let consumer = members.removeValue(forKey: name) else { return }
    consumers.remove(consumer)
  }

  func open(_ name: ByteString, _ isOpen: Bool) { holders[name]?.collector.isOpen = isOpen }

  /// The names of the next so many, "-" for nobody.
  mutating func next(_ count: Int) -> String {
    (0..<count).map { _ in consumers.nextWithCredit()?.tag.text ?? "-" }.joined()
  }
}

@Suite struct ConsumersTests {
  @Test func `nobody is nobody`() throws {
    var turn = try Turn([])
    #expect(turn.consumers.isEmpty && turn.next(1) == "-")
  }

  @Test func `equals take turns in the order in which they came`() throws {
    var turn = try Turn(["a", "b", "c"])
    #expect(turn.consumers.count == 3)
    #expect(turn.next(7) == "abcabca")
  }

  @Test func `one without credit is passed over and comes back into the round`() throws {
    var turn = try Turn(["a", "b", "c"])
    turn.open("b", false)
    #expect(turn.next(4) == "acac")
    turn.open("b", true)
    #expect(turn.next(4) == "abca")
    for name in ["a", "b", "c"] as [ByteString] { turn.open(name, false) }
    #expect(turn.next(2) == "--")
  }

  @Test func `one that goes does not cost another its turn`() throws {
    var turn = try Turn(["a", "b", "c", "d"])
    #expect(turn.next(2) == "ab")
    turn.remove("a")
    #expect(turn.next(3) == "cdb")
    turn.remove("c")
    #expect(turn.next(3) == "dbd")
    turn.remove("d")
    #expect(turn.next(2) == "bb")
    turn.remove("b")
    #expect(turn.consumers.isEmpty && turn.next(1) == "-")
  }

  @Test func `one that comes stands behind the others`() throws {
    var turn = try Turn(["a", "b"])
    #expect(turn.next(1) == "a")
    turn.add("c")
    #expect(turn.next(4) == "bcab")
  }

  @Test func `the higher priority is served as long as it has credit`() throws {
    var turn = try Turn(["a", "b"])
    turn.add("x", priority: 10)
    turn.add("y", priority: 10)
    turn.add("m", priority: 5)
    turn.add("z", priority: -1)
    #expect(turn.next(3) == "xyx")
    turn.open("x", false)
    turn.open("y", false)
    #expect(turn.next(2) == "mm")
    turn.open("m", false)
    #expect(turn.next(3) == "aba")
    turn.open("a", false)
    turn.open("b", false)
    #expect(turn.next(2) == "zz")
    turn.open("y", true)
    #expect(turn.next(2) == "yy")
    #expect(turn.consumers.all.map(\.tag) == ["x", "y", "m", "a", "b", "z"])
  }

  @Test func `to remove a stranger or all of them`() throws {
    var turn = try Turn(["a", "b"])
    turn.consumers.remove(Holder().consumer(turn.queue, tag: "a"))
    #expect(turn.consumers.count == 2)
    turn.consumers.removeAll()
    #expect(turn.consumers.isEmpty && turn.consumers.all.isEmpty)
  }
}

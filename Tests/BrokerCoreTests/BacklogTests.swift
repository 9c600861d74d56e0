/// The order of ready messages, with those that come back.
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct BacklogTests {
  private static func queued(_ position: UInt64) -> QueuedMessage {
    QueuedMessage(message: .of("m"), position: position)
  }

  private static func backlog(_ positions: ClosedRange<UInt64>) -> Backlog {
    var backlog = Backlog(ledger: Ledger(Settings()))
    for position in positions { backlog.append(queued(position)) }
    return backlog
  }

  private static func drain(_ backlog: inout Backlog) -> [UInt64] {
    var positions: [UInt64] = []
    while let next = backlog.popFirst() { positions.append(next.position) }
    return positions
  }

  @Test func `messages leave in the order in which they came`() {
    var backlog = Self.backlog(1...5)
    #expect(backlog.count == 5)
    #expect(Self.drain(&backlog) == [1, 2, 3, 4, 5])
    #expect(backlog.isEmpty && backlog.popFirst() == nil)
  }

  @Test func `what returns goes back to its place, not to an end`() {
    var backlog = Self.backlog(1...6)
    let taken = (0..<4).compactMap { _ in backlog.popFirst() }
    backlog.putBack(taken[3])
    backlog.putBack(taken[1])
    #expect(backlog.count == 4)
    #expect(Self.drain(&backlog) == [2, 4, 5, 6])
  }

  @Test func `what returns to the middle of what waits is in order`() {
    var backlog = Backlog(ledger: Ledger(Settings()))
    for position in [1, 5, 9] as [UInt64] { backlog.append(Self.queued(position)) }
    for position in [7, 3, 11] as [UInt64] { backlog.putBack(Self.queued(position)) }
    #expect(Self.drain(&backlog) == [1, 3, 5, 7, 9, 11])
  }

  @Test func `what returns keeps its mark`() {
    var backlog = Backlog(ledger: Ledger(Settings()))
    var queued = Self.queued(1)
    queued.redelivered = true
    backlog.putBack(queued)
    #expect(backlog.popFirst()?.redelivered == true)
  }

  @Test func `to remove all forgets what returned too`() {
    var backlog = Self.backlog(2...3)
    backlog.putBack(Self.queued(1))
    backlog.removeAll()
    #expect(backlog.isEmpty && backlog.count == 0 && backlog.popFirst() == nil)
  }

  @Test(arguments: Seeds.of("BACKLOG_SEED", Array(1...4)))
  func `random arrivals and returns leave in the order of positions`(_ seed: UInt64) {
    Seeds.announce("BacklogTests: seed \(seed)")
    var chance = Chance(seed: seed)
    var backlog = Backlog(ledger: Ledger(Settings()))
    var ready: Set<UInt64> = []
    var taken: [QueuedMessage] = []
    var last: UInt64 = 0
    for _ in 0..<5000 {
      switch chance.below(4) {
      case 0, 1:
        last += 1
        backlog.append(Self.queued(last))
        ready.insert(last)
      case 2:
        let next = backlog.popFirst()
        #expect(next?.position == ready.min(), "seed \(seed)")
        if let next {
          ready.remove(next.position)
          taken.append(next)
        }
      default:
        if let back = chance.draw(from: &taken) {
          backlog.putBack(back)
          ready.insert(back.position)
        }
      }
      #expect(backlog.count == ready.count && backlog.isEmpty == ready.isEmpty)
    }
    #expect(Self.drain(&backlog) == ready.sorted())
  }
}

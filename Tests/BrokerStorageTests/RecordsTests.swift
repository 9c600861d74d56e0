#if RocksDB
  import AMQPWire
  import BrokerCore
  import BrokerStorage
  import BrokerTestKit
  import Testing

  @Suite struct RecordsTests {
    let bench = Workbench()

    @Test func `a message comes back as it was given`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      var properties = BasicProperties()
      properties.deliveryMode = 2
      properties.messageID = "m1"
      let message = Message.of("hello", exchange: "ex", key: "a.b", properties: properties)
      let extra = StoredExtra(dueMilliseconds: 99, note: [1, 2, 3])
      try line.commit { batch in
        batch.records.append(.init(queue: 7, position: 3, message: message, extra: extra))
      }
      let item = try #require(try line.read(7).records.first)
      #expect(item.position == 3)
      #expect(item.extra == extra)
      #expect(item.sharedBody == nil)
      #expect(!item.isTransient)
      #expect(item.message.octets.elementsEqual(message.octets))
      #expect(item.message.isPersistent)
      #expect(item.message.bodyText == "hello")
    }

    @Test func `an empty message comes back`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      try line.commit { $0.records.append(.init(queue: 7, position: 1, message: Message.of(""))) }
      #expect(try line.texts(7) == ["1 "])
    }
  }
#endif

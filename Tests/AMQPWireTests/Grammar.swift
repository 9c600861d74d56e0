/// The grammar of AMQP 0-9-1 as RabbitMQ publishes it, as a table. Shares nothing with AMQPWire.
///
/// Source: rabbitmq-server, deps/rabbitmq_codegen/amqp-rabbitmq-0.9.1.json at 5b09e556, domains resolved.

enum Grammar {
  /// One line a method: class id, method id, class, method, `content` if content follows it, and its fields.
  private static let methodTable = """
    10 10 connection start version-major:octet version-minor:octet server-properties:table \
      mechanisms:longstr locales:longstr
    10 11 connection start-ok client-properties:table mechanism:shortstr response:longstr locale:shortstr
    10 20 connection secure challenge:longstr
    10 21 connection secure-ok response:longstr
    10 30 connection tune channel-max:short frame-max:long heartbeat:short
    10 31 connection tune-ok channel-max:short frame-max:long heartbeat:short
    10 40 connection open virtual-host:shortstr capabilities:shortstr insist:bit
    10 41 connection open-ok known-hosts:shortstr
    10 50 connection close reply-code:short reply-text:shortstr class-id:short method-id:short
    10 51 connection close-ok
    10 60 connection blocked reason:shortstr
    10 61 connection unblocked
    10 70 connection update-secret new-secret:longstr reason:shortstr
    10 71 connection update-secret-ok
    20 10 channel open out-of-band:shortstr
    20 11 channel open-ok channel-id:longstr
    20 20 channel flow active:bit
    20 21 channel flow-ok active:bit
    20 40 channel close reply-code:short reply-text:shortstr class-id:short method-id:short
    20 41 channel close-ok
    30 10 access request realm:shortstr exclusive:bit passive:bit active:bit write:bit read:bit
    30 11 access request-ok ticket:short
    40 10 exchange declare ticket:short exchange:shortstr type:shortstr passive:bit durable:bit \
      auto-delete:bit internal:bit nowait:bit arguments:table
    40 11 exchange declare-ok
    40 20 exchange delete ticket:short exchange:shortstr if-unused:bit nowait:bit
    40 21 exchange delete-ok
    40 30 exchange bind ticket:short destination:shortstr source:shortstr routing-key:shortstr nowait:bit \
      arguments:table
    40 31 exchange bind-ok
    40 40 exchange unbind ticket:short destination:shortstr source:shortstr routing-key:shortstr nowait:bit \
      arguments:table
    40 51 exchange unbind-ok
    50 10 queue declare ticket:short queue:shortstr passive:bit durable:bit exclusive:bit auto-delete:bit \
      nowait:bit arguments:table
    50 11 queue declare-ok queue:shortstr message-count:long consumer-count:long
    50 20 queue bind ticket:short queue:shortstr exchange:shortstr routing-key:shortstr nowait:bit \
      arguments:table
    50 21 queue bind-ok
    50 30 queue purge ticket:short queue:shortstr nowait:bit
    50 31 queue purge-ok message-count:long
    50 40 queue delete ticket:short queue:shortstr if-unused:bit if-empty:bit nowait:bit
    50 41 queue delete-ok message-count:long
    50 50 queue unbind ticket:short queue:shortstr exchange:shortstr routing-key:shortstr arguments:table
    50 51 queue unbind-ok
    60 10 basic qos prefetch-size:long prefetch-count:short global:bit
    60 11 basic qos-ok
    60 20 basic consume ticket:short queue:shortstr consumer-tag:shortstr no-local:bit no-ack:bit \
      exclusive:bit nowait:bit arguments:table
    60 21 basic consume-ok consumer-tag:shortstr
    60 30 basic cancel consumer-tag:shortstr nowait:bit
    60 31 basic cancel-ok consumer-tag:shortstr
    60 40 basic publish content ticket:short exchange:shortstr routing-key:shortstr mandatory:bit \
      immediate:bit
    60 50 basic return content reply-code:short reply-text:shortstr exchange:shortstr routing-key:shortstr
    60 60 basic deliver content consumer-tag:shortstr delivery-tag:longlong redelivered:bit \
      exchange:shortstr routing-key:shortstr
    60 70 basic get ticket:short queue:shortstr no-ack:bit
    60 71 basic get-ok content delivery-tag:longlong redelivered:bit exchange:shortstr routing-key:shortstr \
      message-count:long
    60 72 basic get-empty cluster-id:shortstr
    60 80 basic ack delivery-tag:longlong multiple:bit
    60 90 basic reject delivery-tag:longlong requeue:bit
    60 100 basic recover-async requeue:bit
    60 110 basic recover requeue:bit
    60 111 basic recover-ok
    60 120 basic nack delivery-tag:longlong multiple:bit requeue:bit
    85 10 confirm select nowait:bit
    85 11 confirm select-ok
    90 10 tx select
    90 11 tx select-ok
    90 20 tx commit
    90 21 tx commit-ok
    90 30 tx rollback
    90 31 tx rollback-ok
    """

  /// The properties of class `basic`: the bit of the flag, the name, the type.
  private static let propertyTable = """
    15 content-type:shortstr
    14 content-encoding:shortstr
    13 headers:table
    12 delivery-mode:octet
    11 priority:octet
    10 correlation-id:shortstr
    9 reply-to:shortstr
    8 expiration:shortstr
    7 message-id:shortstr
    6 timestamp:timestamp
    5 type:shortstr
    4 user-id:shortstr
    3 app-id:shortstr
    2 cluster-id:shortstr
    """

  /// The types of a table's fields as rabbit_binary_parser.erl reads them: the octet, the octet that
  /// rabbit_binary_generator.erl writes for it, the shape, and for numbers the width in octets.
  private static let fieldTypeTable = """
    t t flag 1
    b b signed 1
    B B unsigned 1
    s s signed 2
    u u unsigned 2
    I I signed 4
    i i unsigned 4
    l l signed 8
    L l signed 8
    f f unsigned 4
    d d unsigned 8
    D D decimal 5
    T T unsigned 8
    S S octets 0
    x x octets 0
    F F table 0
    A A array 0
    V V void 0
    """

  static let methods: [GrammarMethod] = words(of: methodTable).map { GrammarMethod($0) }
  static let properties: [GrammarProperty] = words(of: propertyTable).map { GrammarProperty($0) }
  static let fieldTypes: [UInt8: GrammarFieldType] = Dictionary(
    uniqueKeysWithValues: words(of: fieldTypeTable).map { GrammarFieldType($0) }.map { ($0.octet, $0) })

  private static func words(of table: String) -> [[String]] {
    table.split(separator: "\n").map { line in line.split(separator: " ").map { String($0) } }
  }
}

private func capitalized(_ word: Substring) -> String { word.prefix(1).uppercased() + word.dropFirst() }

struct GrammarField: Sendable, Equatable {
  enum Shape: String, Sendable { case bit, octet, short, long, longlong, shortstr, longstr, table, timestamp }

  let name: String
  let shape: Shape

  init(_ word: String) {
    let halves = word.split(separator: ":")
    name = String(halves[0])
    shape = Shape(rawValue: String(halves[1]))!
  }

  /// The name as our structs spell it: `consumer-tag` is `consumerTag`, `class-id` is `classID`.
  var swiftName: String {
    switch name {
    case "nowait": return "noWait"
    case "internal": return "isInternal"
    default:
      let words = name.split(separator: "-")
      return words[0] + words.dropFirst().map { $0 == "id" ? "ID" : capitalized($0) }.joined()
    }
  }
}

struct GrammarMethod: Sendable, CustomStringConvertible {
  let classID: UInt16
  let methodID: UInt16
  let name: String
  let hasContent: Bool
  let fields: [GrammarField]

  init(_ words: [String]) {
    classID = UInt16(words[0])!
    methodID = UInt16(words[1])!
    name = words[2] + "." + words[3]
    hasContent = words.dropFirst(4).first == "content"
    fields = words.dropFirst(hasContent ? 5 : 4).map { GrammarField($0) }
  }

  /// `queue.declare-ok` is `QueueDeclareOk`.
  var swiftName: String { name.split { $0 == "." || $0 == "-" }.map(capitalized).joined() }

  var description: String { name }
}

struct GrammarProperty: Sendable, CustomStringConvertible {
  let flag: UInt16
  let field: GrammarField

  init(_ words: [String]) {
    flag = 1 << UInt16(words[0])!
    field = GrammarField(words[1])
  }

  var description: String { field.name }
}

struct GrammarFieldType: Sendable {
  enum Shape: String, Sendable { case flag, signed, unsigned, decimal, octets, table, array, void }

  let octet: UInt8
  let writtenOctet: UInt8
  let shape: Shape
  let width: Int

  init(_ words: [String]) {
    octet = words[0].utf8.first!
    writtenOctet = words[1].utf8.first!
    shape = Shape(rawValue: words[2])!
    width = Int(words[3])!
  }
}

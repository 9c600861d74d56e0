/// What the method frames of goldens.txt mean.
import AMQPWire

let goldenMethods = [pikaMethods, pyAMQPMethods, pamqpMethods].reduce(into: [:]) { all, some in
  all.merge(some) { first, _ in first }
}

/// 2024-02-29 12:00:00 UTC
let noon: UInt64 = 1_709_208_000

private let pikaMethods: [String: any Method] = [
  "pika start-ok": ConnectionStartOk {
    $0.clientProperties = [
      "product": "Pika Python Client Library", "platform": "Python 3.11.7",
      "capabilities": .table([
        "authentication_failure_close": true, "basic.nack": true, "connection.blocked": true,
        "consumer_cancel_notify": true, "publisher_confirms": true,
      ]),
      "information": "See http://pika.rtfd.org", "version": "1.3.2",
    ]
    $0.mechanism = "PLAIN"
    $0.response = "\0guest\0guest"
    $0.locale = "en_US"
  },
  "pika tune-ok": ConnectionTuneOk {
    $0.channelMax = 65535
    $0.frameMax = 131072
    $0.heartbeat = 60
  },
  "pika open": ConnectionOpen {
    $0.virtualHost = "/"
    $0.insist = true
  },
  "pika close": ConnectionClose {
    $0.replyCode = 200
    $0.replyText = "Normal shutdown"
  },
  "pika channel-open": ChannelOpen(),
  "pika exchange-declare": ExchangeDeclare {
    $0.exchange = "logs"
    $0.type = "topic"
    $0.durable = true
    $0.autoDelete = true
    $0.isInternal = true
    $0.arguments = ["alternate-exchange": "spare"]
  },
  "pika queue-declare-server-named": QueueDeclare { $0.exclusive = true },
  "pika queue-declare-arguments": QueueDeclare {
    $0.queue = "tasks"
    $0.durable = true
    $0.arguments = [
      "x-message-ttl": .int32(60000), "x-max-length-bytes": .int64(5_000_000_000),
      "x-dead-letter-exchange": "dlx", "x-single-active-consumer": true,
    ]
  },
  "pika queue-bind": QueueBind {
    $0.queue = "tasks"
    $0.exchange = "logs"
    $0.routingKey = "kern.*"
  },
  "pika qos": BasicQos {
    $0.prefetchCount = 1
    $0.global = true
  },
  "pika consume": BasicConsume {
    $0.queue = "tasks"
    $0.consumerTag = "ctag1.0"
    $0.noAck = true
    $0.exclusive = true
    $0.arguments = ["x-priority": .int32(-5)]
  },
  "pika publish": BasicPublish {
    $0.exchange = "logs"
    $0.routingKey = "kern.crit"
    $0.mandatory = true
  },
  "pika publish-utf8": BasicPublish {
    $0.exchange = "grüße"
    $0.routingKey = "ключ.日本.😀"
  },
  "pika deliver": BasicDeliver {
    $0.consumerTag = "ctag1.0"
    $0.deliveryTag = 1 << 63 + 1
    $0.redelivered = true
    $0.exchange = "logs"
    $0.routingKey = "kern.crit"
  },
  "pika nack": BasicNack {
    $0.deliveryTag = 7
    $0.multiple = true
  },
  "pika confirm-select": ConfirmSelect { $0.noWait = true },
  "pika tx-commit": TxCommit(),
]

private let pyAMQPMethods: [String: any Method] = [
  "amqp start-ok": ConnectionStartOk {
    $0.clientProperties = [
      "product": "py-amqp", "product_version": "5.4.2",
      "capabilities": .table(["consumer_cancel_notify": true]),
    ]
    $0.mechanism = "AMQPLAIN"
    // A table without its length.
    $0.response = "\u{5}LOGINS\0\0\0\u{5}guest\u{8}PASSWORDS\0\0\0\u{6}geheim"
    $0.locale = "en_US"
  },
  "amqp tune-ok": ConnectionTuneOk {
    $0.channelMax = 2047
    $0.frameMax = 131072
    $0.heartbeat = 30
  },
  "amqp channel-open": ChannelOpen(),
  "amqp exchange-declare": ExchangeDeclare {
    $0.exchange = "events"
    $0.type = "headers"
    $0.durable = true
    $0.noWait = true
    $0.arguments = ["x-big": .int64(1 << 40)]
  },
  "amqp exchange-bind": ExchangeBind {
    $0.destination = "events"
    $0.source = "source"
    $0.routingKey = "key"
    $0.arguments = ["n": .int32(-1)]
  },
  "amqp queue-declare": QueueDeclare {
    $0.queue = "jobs"
    $0.passive = true
    $0.durable = true
  },
  "amqp queue-unbind": QueueUnbind {
    $0.queue = "jobs"
    $0.exchange = "events"
    $0.routingKey = "key"
    $0.arguments = ["x-match": "any"]
  },
  "amqp queue-delete": QueueDelete {
    $0.queue = "jobs"
    $0.ifUnused = true
    $0.ifEmpty = true
  },
  "amqp qos": BasicQos {
    $0.prefetchSize = .max
    $0.prefetchCount = .max
  },
  "amqp consume": BasicConsume {
    $0.queue = "jobs"
    $0.consumerTag = "tag"
    $0.noLocal = true
    $0.exclusive = true
    $0.arguments = ["from": .timestamp(noon)]
  },
  "amqp ack": BasicAck {
    $0.deliveryTag = .max
    $0.multiple = true
  },
  "amqp reject": BasicReject {
    $0.deliveryTag = 3
    $0.requeue = true
  },
  "amqp recover-async": BasicRecoverAsync { $0.requeue = true },
  "amqp flow-ok": ChannelFlowOk { $0.active = true },
  "amqp publish": BasicPublish {
    $0.exchange = "events"
    $0.routingKey = "key"
    $0.mandatory = true
  },
  "amqp close": ChannelClose {
    $0.replyCode = 404
    $0.replyText = "gone"
    $0.classID = 60
    $0.methodID = 40
  },
]

private let pamqpMethods: [String: any Method] = [
  "pamqp start": ConnectionStart {
    $0.versionMinor = 9
    $0.serverProperties = ["capabilities": .table(["per_consumer_qos": true]), "product": "Yutu"]
    $0.mechanisms = "PLAIN AMQPLAIN"
    $0.locales = "en_US"
  },
  "pamqp update-secret": ConnectionUpdateSecret {
    $0.newSecret = "token"
    $0.reason = "it expired"
  },
  "pamqp blocked": ConnectionBlocked { $0.reason = "low on memory" },
  "pamqp channel-close": ChannelClose {
    $0.replyCode = 406
    $0.replyText = "PRECONDITION_FAILED - unknown tag 1"
    $0.classID = 60
    $0.methodID = 80
  },
  "pamqp exchange-unbind": ExchangeUnbind {
    $0.destination = "to"
    $0.source = "from"
    $0.routingKey = "key"
    $0.noWait = true
    $0.arguments = ["weight": .int8(10)]
  },
  "pamqp queue-declare": QueueDeclare {
    $0.queue = "q"
    $0.durable = true
    $0.arguments = ["x-expires": .int32(1_800_000), "x-max-priority": .int8(10)]
  },
  "pamqp queue-declare-ok": QueueDeclareOk {
    $0.queue = "q"
    $0.messageCount = .max
    $0.consumerCount = 3
  },
  "pamqp get": BasicGet {
    $0.queue = "q"
    $0.noAck = true
  },
  "pamqp get-ok": BasicGetOk {
    $0.deliveryTag = 5
    $0.redelivered = true
    $0.exchange = "logs"
    $0.routingKey = "kern"
    $0.messageCount = 17
  },
  "pamqp get-empty": BasicGetEmpty(),
  "pamqp return": BasicReturn {
    $0.replyCode = 312
    $0.replyText = "NO_ROUTE"
    $0.exchange = "logs"
    $0.routingKey = "nowhere"
  },
  "pamqp recover-ok": BasicRecoverOk(),
]

/// What a user's permissions allow.
import AMQPWire
import Testing

@testable import BrokerCore

@Suite struct PermissionTests {
  private static func allows(_ pattern: String, _ name: ByteString) -> Bool {
    let granted = GrantedPermissions(Permissions(configure: pattern, write: "never", read: "never"))
    return granted.allow(BrokerCore.AccessRequest(.configure, .queue, vhost: "/", name: name))
  }

  @Test func `a pattern matches anywhere, and the empty one nothing but the empty name`() {
    let cases: [(String, ByteString, Bool)] = [
      (".*", "anything", true), (".*", "", true), ("", "a", false), ("", "", true), ("^$", "", true),
      ("a", "bar", true), ("a", "b", false), ("^a", "ba", false), ("^a$", "a", true),
      ("^(a|b)-", "b-c", true),
      ("^(a|b)-", "c-a-", false), ("^amq\\.default$", "amq.default", true),
      ("^amq\\.default$", "amqXdefault", false), ("[0-9]+", "q7", true),
    ]
    for (pattern, name, expected) in cases {
      #expect(Self.allows(pattern, name) == expected, "\(pattern) for '\(name)'")
    }
  }

  @Test func `what is no pattern matches nothing, and it is said why`() {
    let granted = GrantedPermissions(Permissions(configure: "(", write: ".*", read: ".*"))
    #expect(granted.faults.count == 1 && granted.faults[0].hasPrefix("'(': "))
    #expect(!granted.allow(BrokerCore.AccessRequest(.configure, .queue, vhost: "/", name: "(")))
    #expect(granted.allow(BrokerCore.AccessRequest(.write, .exchange, vhost: "/", name: "x")))
  }

  @Test func `each operation has its pattern, a virtual host and a topic have none`() {
    let granted = GrantedPermissions(Permissions(configure: "^c$", write: "^w$", read: "^r$"))
    let names: [(BrokerCore.AccessRequest.Operation, ByteString)] = [
      (.configure, "c"), (.write, "w"), (.read, "r"),
    ]
    for (operation, _) in names {
      for (other, name) in names {
        let request = BrokerCore.AccessRequest(operation, .exchange, vhost: "/", name: name)
        #expect(granted.allow(request) == (operation == other))
      }
    }
    #expect(granted.allow(BrokerCore.AccessRequest(.connect, .vhost, vhost: "/", name: "/")))
    #expect(granted.allow(BrokerCore.AccessRequest(.write, .topic, vhost: "/", name: "x", routingKey: "k")))
  }
}

import AMQPWire

/// `headers`: a binding's arguments are matched with the message's headers. Knows no routing key.
///
/// A binding waits under one field that it asks for (under all of them where any will do), so that a message
/// looks only at bindings with which it has a header in common. Nothing is decoded on the way: fields are
/// compared as octets, in the form that `HeaderFields` gives them.
final class Headers: ExchangeType {
  let routesByKeyAlone = false
  private var rules: [ObjectIdentifier: Rule] = [:]
  private var byField = OctetMap<Bag<Rule>>()
  /// Rules that may hold for a message with none of their values.
  private var others = Bag<Rule>()
  /// Bindings whose `x-match` names a matcher, in the order in which they were made.
  private var matched: [MatchedBinding] = []
  /// Scratch of `route`: the headers of the message at hand.
  private var headers = HeaderFields()

  private struct MatchedBinding {
    let binding: Binding
    let name: ByteString
    var matcher: any HeaderMatcher
  }

  func add(_ binding: Binding) throws(ProtocolError) {
    let broker = binding.source.vhost.broker
    if let name = binding.arguments["x-match"]?.string {
      var matcher = try broker.makeHeaderMatcher(name, for: binding)
      // Its plugin is loaded later.
      if matcher == nil, broker.isRecovering, !Rule.matches.contains(name) { matcher = UnavailableMatcher() }
      if let matcher { return matched.append(MatchedBinding(binding: binding, name: name, matcher: matcher)) }
    }
    let rule = try Rule(binding)
    rules[ObjectIdentifier(binding)] = rule
    rule.place = place(for: rule)
    guard let place = rule.place else { return others.insert(rule) }
    for field in place { byField.update(field, default: Bag()) { $0.insert(rule) } }
  }

  /// Where all fields are needed, the one that the fewest others wait under tells the most.
  private func place(for rule: Rule) -> [ByteString]? {
    guard rule.needsAll else { return rule.names.isEmpty ? rule.fields : nil }
    let rarest = rule.fields.min { (byField[$0]?.count ?? 0) < (byField[$1]?.count ?? 0) }
    return rarest.map { [$0] }
  }

  func remove(_ binding: Binding) {
    guard let rule = rules.removeValue(forKey: ObjectIdentifier(binding)) else {
      return matched.removeAll { $0.binding === binding }
    }
    guard let place = rule.place else { return others.remove(rule) }
    for field in place {
      let left = byField.update(field, default: Bag()) { bag in
        bag.remove(rule)
        return bag.count
      }
      if left == 0 { byField[field] = nil }
    }
  }

  // hot:
  func route(_ message: Message, into destinations: Destinations) {
    headers.read(message.headers)
    for index in 0..<headers.count {
      guard let waiting = headers.withField(index, { byField[$0] }) else { continue }
      for rule in waiting.elements where rule.matches(headers) { destinations.add(rule.binding) }
    }
    for rule in others.elements where rule.matches(headers) { destinations.add(rule.binding) }
    for rule in matched where rule.matcher.matches(message) { destinations.add(rule.binding) }
  }

  // MARK: matchers

  func bindings(matchedBy name: ByteString) -> [Binding] { matched.filter { $0.name == name }.map(\.binding) }

  func setMatcher(_ matcher: any HeaderMatcher, of binding: Binding) {
    guard let index = matched.firstIndex(where: { $0.binding === binding }) else { return }
    matched[index].matcher = matcher
  }
}

/// What a binding asks for.
private final class Rule {
  static let matches: Set<ByteString> = ["all", "any", "all-with-x", "any-with-x"]
  let binding: Binding
  let needsAll: Bool
  /// Fields whose value has to be equal, as `HeaderFields` has them.
  let fields: [ByteString]
  /// Names, with their length, that have to be there with any value: those given as void.
  let names: [ByteString]
  /// The fields under which the rule waits; nil if it waits under none.
  var place: [ByteString]?

  init(_ binding: Binding) throws(ProtocolError) {
    self.binding = binding
    let match = binding.arguments["x-match"]
    switch match {
    case nil, "all", "all-with-x": needsAll = true
    case "any", "any-with-x": needsAll = false
    case .string(let other)?:
      throw ProtocolError(
        .preconditionFailed,
        "Invalid x-match field value <<\"\(other)\">>; expected all, any, all-with-x, or any-with-x")
    case let other?:
      throw ProtocolError(
        .preconditionFailed,
        "Invalid x-match field type \(other.typeName) (value \(other.shown)); expected longstr")
    }
    let withX = match == "all-with-x" || match == "any-with-x"
    var (valued, named) = (FieldTable(), [ByteString]())
    for (name, value) in binding.arguments.fields where name != "x-match" {
      guard withX || !name.hasPrefix("x-") else { continue }
      if value == .void {
        named.append(ByteString([UInt8(truncatingIfNeeded: name.count)] + name.bytes))
      } else {
        valued.append(name, value)
      }
    }
    names = named
    fields = HeaderFields.all(of: valued)
  }

  func matches(_ headers: HeaderFields) -> Bool {
    if needsAll {
      return names.allSatisfy { headers.hasName($0) } && fields.allSatisfy { headers.hasField($0) }
    }
    return names.contains { headers.hasName($0) } || fields.contains { headers.hasField($0) }
  }
}

/// Which global names a Lua text uses, and where: a walk over its scopes (manual, 3.5). Knows no interpreter.
///
/// For texts that compile: the walk follows the grammar (manual, 9) as far as scopes need it, and ends where it
/// meets what it does not understand.

package struct GlobalUse: Equatable, Sendable {
  package let name: String
  package let line: Int
  package let isAssigned: Bool
}

package enum GlobalsCheck {
  /// In the order of the text.
  package static func uses(in source: String) -> [GlobalUse] {
    var walk = ScopeWalk(tokens: LuaLexer.tokens(source))
    walk.chunk()
    return walk.uses
  }
}

private struct ScopeWalk {
  /// As in Lua itself (LUAI_MAXCCALLS): what compiles is no deeper.
  static let deepest = 200

  let tokens: [LuaToken]
  var at = 0
  var depth = 0
  var uses: [GlobalUse] = []
  /// The first is outside of the text: there Lua declares `_ENV`.
  private var scopes: [Set<String>] = [["_ENV"], []]

  init(tokens: [LuaToken]) { self.tokens = tokens }

  // MARK: tokens

  private var current: LuaToken.Kind? { at < tokens.count ? tokens[at].kind : nil }
  private var line: Int { at < tokens.count ? tokens[at].line : tokens.last?.line ?? 1 }

  private func isSymbol(_ symbol: String) -> Bool { current == .symbol(symbol) }
  private func isKeyword(_ keyword: String) -> Bool { current == .keyword(keyword) }

  private mutating func take(_ symbol: String) -> Bool {
    guard isSymbol(symbol) else { return false }
    at += 1
    return true
  }

  private mutating func takeKeyword(_ keyword: String) -> Bool {
    guard isKeyword(keyword) else { return false }
    at += 1
    return true
  }

  private mutating func takeName() -> String? {
    guard case .name(let name)? = current else { return nil }
    at += 1
    return name
  }

  // MARK: scopes

  private mutating func declare(_ name: String) { scopes[scopes.count - 1].insert(name) }

  private func isLocal(_ name: String) -> Bool { scopes.contains { $0.contains(name) } }

  private mutating func use(_ name: String, line: Int, isAssigned: Bool = false) {
    // Where the text has an environment of its own, a free name is a field of that.
    let isOwn = scopes.dropFirst().contains { $0.contains("_ENV") }
    if !isOwn, !isLocal(name) { uses.append(GlobalUse(name: name, line: line, isAssigned: isAssigned)) }
  }

  private mutating func inScope(_ body: (inout ScopeWalk) -> Void) {
    scopes.append([])
    body(&self)
    scopes.removeLast()
  }

  /// - Returns: false when it is too deep; then the walk ends
  private mutating func deeper(_ body: (inout ScopeWalk) -> Void) {
    guard depth < Self.deepest else {
      at = tokens.count
      return
    }
    depth += 1
    body(&self)
    depth -= 1
  }

  // MARK: statements

  mutating func chunk() {
    while at < tokens.count {
      let before = at
      block()
      // An `end` too many, or a word that fits nowhere.
      if at == before { at += 1 }
    }
  }

  /// Up to what ends it, which is not taken.
  private mutating func block() {
    while let current {
      switch current {
      case .keyword("end"), .keyword("else"), .keyword("elseif"), .keyword("until"): return
      default:
        let before = at
        deeper { $0.statement() }
        if at == before { return }
      }
    }
  }

  private mutating func scopedBlock() { inScope { $0.block() } }

  private mutating func statement() {
    switch current {
    case .symbol(";"): at += 1
    case .symbol("::"):
      at += 1
      _ = takeName()
      _ = take("::")
    case .keyword("break"): at += 1
    case .keyword("goto"):
      at += 1
      _ = takeName()
    case .keyword("do"):
      at += 1
      scopedBlock()
      _ = takeKeyword("end")
    case .keyword("while"):
      at += 1
      expression()
      _ = takeKeyword("do")
      scopedBlock()
      _ = takeKeyword("end")
    case .keyword("repeat"):
      at += 1
      // The condition sees the block's locals.
      inScope {
        $0.block()
        if $0.takeKeyword("until") { $0.expression() }
      }
    case .keyword("if"): ifStatement()
    case .keyword("for"): forStatement()
    case .keyword("function"): functionStatement()
    case .keyword("local"): localStatement()
    case .keyword("return"):
      at += 1
      returnStatement()
    default: expressionStatement()
    }
  }

  private mutating func ifStatement() {
    repeat {
      at += 1
      expression()
      _ = takeKeyword("then")
      scopedBlock()
    } while isKeyword("elseif")
    if takeKeyword("else") { scopedBlock() }
    _ = takeKeyword("end")
  }

  private mutating func forStatement() {
    at += 1
    var names: [String] = []
    repeat { if let name = takeName() { names.append(name) } } while take(",")
    if !take("=") { _ = takeKeyword("in") }
    expressions()
    _ = takeKeyword("do")
    inScope {
      for name in names { $0.declare(name) }
      $0.block()
    }
    _ = takeKeyword("end")
  }

  /// `function a.b:c() … end`: only what has no field is assigned.
  private mutating func functionStatement() {
    at += 1
    let line = line
    guard let name = takeName() else { return }
    let hasField = isSymbol(".") || isSymbol(":")
    use(name, line: line, isAssigned: !hasField)
    while take(".") { _ = takeName() }
    let isMethod = take(":")
    if isMethod { _ = takeName() }
    functionBody(isMethod: isMethod)
  }

  private mutating func localStatement() {
    at += 1
    if takeKeyword("function") {
      // Declared before its body: it may call itself.
      if let name = takeName() { declare(name) }
      return functionBody(isMethod: false)
    }
    var names: [String] = []
    repeat {
      if let name = takeName() { names.append(name) }
      if take("<") {
        _ = takeName()
        _ = take(">")
      }
    } while take(",")
    if take("=") { expressions() }
    for name in names { declare(name) }
  }

  private mutating func returnStatement() {
    switch current {
    case nil, .keyword("end"), .keyword("else"), .keyword("elseif"), .keyword("until"), .symbol(";"): break
    default: expressions()
    }
    _ = take(";")
  }

  /// A call, or an assignment, whose plain names are assigned.
  private mutating func expressionStatement() {
    repeat {
      let line = line
      if case .name(let name)? = current, isAssignable(at + 1) {
        at += 1
        use(name, line: line, isAssigned: true)
      } else {
        suffixedExpression()
      }
    } while take(",")
    if take("=") { expressions() }
  }

  /// Whether a name before this place is all of an assignment's target.
  private func isAssignable(_ place: Int) -> Bool {
    guard place < tokens.count else { return false }
    return tokens[place].kind == .symbol("=") || tokens[place].kind == .symbol(",")
  }

  // MARK: expressions

  private mutating func expressions() {
    repeat { expression() } while take(",")
  }

  private static let binary: Set<String> = [
    "+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "&", "|", "~", "<<", ">>",
  ]

  /// Operands and operators in a row: which binds stronger is nothing to scopes.
  private mutating func expression() {
    deeper { walk in
      while true {
        while walk.isSymbol("-") || walk.isSymbol("#") || walk.isSymbol("~") || walk.isKeyword("not") {
          walk.at += 1
        }
        walk.simpleExpression()
        if walk.takeKeyword("and") || walk.takeKeyword("or") { continue }
        guard case .symbol(let symbol)? = walk.current, Self.binary.contains(symbol) else { return }
        walk.at += 1
      }
    }
  }

  private mutating func simpleExpression() {
    switch current {
    case .string, .number, .symbol("..."), .keyword("nil"), .keyword("true"), .keyword("false"): at += 1
    case .symbol("{"): table()
    case .keyword("function"):
      at += 1
      functionBody(isMethod: false)
    default: suffixedExpression()
    }
  }

  private mutating func suffixedExpression() {
    let line = line
    if let name = takeName() {
      use(name, line: line)
    } else if take("(") {
      expression()
      _ = take(")")
    } else {
      return
    }
    while true {
      switch current {
      case .symbol("."):
        at += 1
        _ = takeName()
      case .symbol("["):
        at += 1
        expression()
        _ = take("]")
      case .symbol(":"):
        at += 1
        _ = takeName()
        arguments()
      case .symbol("("), .symbol("{"), .string: arguments()
      default: return
      }
    }
  }

  private mutating func arguments() {
    if take("(") {
      if !isSymbol(")") { expressions() }
      _ = take(")")
    } else if isSymbol("{") {
      table()
    } else if current == .string {
      at += 1
    }
  }

  private mutating func table() {
    deeper { walk in
      guard walk.take("{") else { return }
      while let current = walk.current, current != .symbol("}") {
        let before = walk.at
        if walk.take("[") {
          walk.expression()
          _ = walk.take("]")
          _ = walk.take("=")
        } else if case .name = current, walk.at + 1 < walk.tokens.count,
          walk.tokens[walk.at + 1].kind == .symbol("=")
        {
          walk.at += 2
        }
        walk.expression()
        if !walk.take(",") { _ = walk.take(";") }
        if walk.at == before { break }
      }
      _ = walk.take("}")
    }
  }

  private mutating func functionBody(isMethod: Bool) {
    deeper { walk in
      walk.inScope {
        if isMethod { $0.declare("self") }
        _ = $0.take("(")
        repeat {
          if let name = $0.takeName() { $0.declare(name) } else { _ = $0.take("...") }
        } while $0.take(",")
        _ = $0.take(")")
        $0.block()
        _ = $0.takeKeyword("end")
      }
    }
  }
}

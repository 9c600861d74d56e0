/// Why an operator's wish is not done. Knows neither command line nor HTTP, which say it in their own ways.
public struct Refusal: Error, Equatable, CustomStringConvertible {
  public enum Kind: Sendable {
    /// What is to be made is there already.
    case exists
    /// What is to be changed is not there.
    case missing
    /// A value is none that it may be.
    case invalid
  }

  public let kind: Kind
  public let text: String

  public init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }

  public var description: String { text }
}

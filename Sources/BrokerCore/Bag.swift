/// References in no order, any of which goes without a search. Knows nothing of what they are.
struct Bag<Element: AnyObject> {
  private(set) var elements: ContiguousArray<Element> = []
  /// Where each stands; kept only for so many that looking at all would take longer.
  private var places: [ObjectIdentifier: Int]?
  private static var few: Int { 16 }

  var count: Int { elements.count }
  var isEmpty: Bool { elements.isEmpty }

  mutating func insert(_ element: Element) {
    places?[ObjectIdentifier(element)] = elements.count
    elements.append(element)
    guard places == nil, elements.count > Self.few else { return }
    places = Dictionary(
      uniqueKeysWithValues: elements.enumerated().map { (ObjectIdentifier($1), $0) })
  }

  /// The last one takes the place of one that goes.
  mutating func remove(_ element: Element) {
    let place = places.map { $0[ObjectIdentifier(element)] } ?? elements.firstIndex { $0 === element }
    guard let place, let last = elements.popLast() else { return }
    places?[ObjectIdentifier(element)] = nil
    guard last !== element else { return }
    elements[place] = last
    places?[ObjectIdentifier(last)] = place
  }
}

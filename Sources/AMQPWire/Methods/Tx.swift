/// The methods of class `tx` (90): local transactions (1.9).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `tx.select`
public struct TxSelect: Method {
  @inlinable public static var id: MethodID { MethodID(90, 10) }
  public init() {}
}

/// `tx.select-ok`
public struct TxSelectOk: Method {
  @inlinable public static var id: MethodID { MethodID(90, 11) }
  public init() {}
}

/// `tx.commit`
public struct TxCommit: Method {
  @inlinable public static var id: MethodID { MethodID(90, 20) }
  public init() {}
}

/// `tx.commit-ok`
public struct TxCommitOk: Method {
  @inlinable public static var id: MethodID { MethodID(90, 21) }
  public init() {}
}

/// `tx.rollback`
public struct TxRollback: Method {
  @inlinable public static var id: MethodID { MethodID(90, 30) }
  public init() {}
}

/// `tx.rollback-ok`
public struct TxRollbackOk: Method {
  @inlinable public static var id: MethodID { MethodID(90, 31) }
  public init() {}
}

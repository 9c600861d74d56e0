/// The methods of class `tx` (90): local transactions (1.9).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `tx.select`
package struct TxSelect: Method {
  @inlinable package static var id: MethodID { MethodID(90, 10) }
  package init() {}
}

/// `tx.select-ok`
package struct TxSelectOk: Method {
  @inlinable package static var id: MethodID { MethodID(90, 11) }
  package init() {}
}

/// `tx.commit`
package struct TxCommit: Method {
  @inlinable package static var id: MethodID { MethodID(90, 20) }
  package init() {}
}

/// `tx.commit-ok`
package struct TxCommitOk: Method {
  @inlinable package static var id: MethodID { MethodID(90, 21) }
  package init() {}
}

/// `tx.rollback`
package struct TxRollback: Method {
  @inlinable package static var id: MethodID { MethodID(90, 30) }
  package init() {}
}

/// `tx.rollback-ok`
package struct TxRollbackOk: Method {
  @inlinable package static var id: MethodID { MethodID(90, 31) }
  package init() {}
}

import BrokerConfiguration
import BrokerCore
import BrokerStorage
import Foundation
import Logging
import NIOCore

/// Where the broker's data is: a folder with a store, or memory. Knows no message.
struct DataPlace {
  /// Nil: nothing is kept.
  let folder: String?
  private let durability: String

  init(_ configuration: Configuration) {
    durability = configuration.durability
    let said = configuration.dataDir
    #if RocksDB
      folder = said == ":memory:" ? nil : said ?? Self.standard
    #else
      folder = nil
    #endif
  }

  /// Where the system keeps a user's data.
  static var standard: String {
    let environment = ProcessInfo.processInfo.environment
    if let home = environment["XDG_DATA_HOME"], home.hasPrefix("/") { return home + "/yutu" }
    return FileManager.default.homeDirectoryForCurrentUser.path + "/.local/share/yutu"
  }

  /// Where the operator's command line speaks with the broker.
  var socket: String? { folder.map { "\($0)/yutu.sock" } }

  /// For a person who starts the broker.
  var announcement: String {
    if let folder {
      return "data is in \(folder), safe when "
        + (durability == "fsync" ? "it is on the disk" : "the operating system has it")
    }
    #if RocksDB
      return "data is in memory: nothing outlives this process"
    #else
      return "data is in memory: nothing outlives this process (built without RocksDB)"
    #endif
  }

  /// - Parameter failed: called on the loop when the store can go on no more
  func makeBroker(
    _ configuration: Configuration, _ logger: Logger, _ loop: any EventLoop,
    failed: @escaping (String) -> Void
  ) throws -> Broker {
    #if RocksDB
      if let folder {
        let options = RocksStore.Options(
          durability: RocksStore.Durability(rawValue: durability) ?? .fsync,
          diskFreeLimit: configuration.diskFreeLimit)
        let store = try RocksStore(directory: folder, options: options, logger: logger) { loop.execute($0) }
        let broker: Broker
        do throws(StoreError) {
          broker = try Broker(settings: configuration.settings, logger: logger, store: store)
        } catch {
          store.close()
          throw StoreError("data directory \(folder): \(error)")
        }
        broker.journal?.onFailure = failed
        return broker
      }
    #endif
    return Broker(settings: configuration.settings, logger: logger)
  }
}

import HummingbirdTesting
import Testing

@testable import BrokerManagement

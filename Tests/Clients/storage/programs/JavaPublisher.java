/* Publishes numbers with confirms, over all that happens to the broker for ever, by the Java client's own recovery: URL */

import com.rabbitmq.client.Channel;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.util.concurrent.TimeoutException;

public class JavaPublisher {
  public static void main(String[] arguments) throws Exception {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setUri(arguments[0]);
    factory.setNetworkRecoveryInterval(200);
    Channel channel = factory.newConnection().createChannel();
    channel.queueDeclare("numbers", true, false, false, null);
    channel.confirmSelect();
    for (int number = 0; ; ) {
      try {
        byte[] body = Integer.toString(number).getBytes("UTF-8");
        channel.basicPublish("", "numbers", true, MessageProperties.PERSISTENT_BASIC, body);
        channel.waitForConfirmsOrDie(5000);
        System.out.println("confirmed " + number);
        number++;
      } catch (ShutdownSignalException | IOException | TimeoutException gone) {
        Thread.sleep(100);
      }
    }
  }
}

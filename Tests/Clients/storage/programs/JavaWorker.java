/* Takes numbers, and acks each when it is done, over all that happens to the broker: URL */

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import java.io.IOException;

public class JavaWorker {
  public static void main(String[] arguments) throws Exception {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setUri(arguments[0]);
    factory.setNetworkRecoveryInterval(200);
    Connection connection = factory.newConnection();
    System.out.println("connected");
    ((Recoverable) connection).addRecoveryListener(new RecoveryListener() {
      public void handleRecovery(Recoverable recovered) { System.out.println("connected"); }
      public void handleRecoveryStarted(Recoverable recovered) {}
    });
    Channel channel = connection.createChannel();
    channel.queueDeclare("numbers", true, false, false, null);
    channel.basicQos(10);
    channel.basicConsume("numbers", false, new DefaultConsumer(channel) {
      public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body)
          throws IOException {
        System.out.println("got " + new String(body, "UTF-8") + (envelope.isRedeliver() ? " again" : ""));
        try {
          channel.basicAck(envelope.getDeliveryTag(), false);
        } catch (AlreadyClosedException gone) {
          // It comes again.
        }
      }
    });
  }
}

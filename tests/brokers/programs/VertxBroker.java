import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.ext.stomp.StompServer;
import io.vertx.ext.stomp.StompServerHandler;
import io.vertx.ext.stomp.StompServerOptions;
import java.util.List;

/** The STOMP server of Vert.x with its defaults, over TCP and WebSocket: arguments are the two ports. */
public final class VertxBroker {
    public static void main(String[] arguments) {
        Vertx vertx = Vertx.vertx();
        StompServerOptions options = new StompServerOptions().setHost("127.0.0.1").setPort(Integer.parseInt(arguments[0]))
            .setWebsocketBridge(true).setWebsocketPath("/stomp");
        StompServer server = StompServer.create(vertx, options).handler(StompServerHandler.create(vertx));
        HttpServerOptions http = new HttpServerOptions()
            .setWebSocketSubProtocols(List.of("v10.stomp", "v11.stomp", "v12.stomp"));
        server.listen()
            .compose(listening -> vertx.createHttpServer(http).webSocketHandler(listening.webSocketHandler())
                .listen(Integer.parseInt(arguments[1]), "127.0.0.1"))
            .onFailure(failure -> {
                failure.printStackTrace();
                System.exit(1);
            });
    }
}

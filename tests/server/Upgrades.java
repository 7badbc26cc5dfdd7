import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

/** Asks for HTTP/2 with each request, as this client does by default, and opens a WebSocket; prints what comes back. */
public class Upgrades {
    public static void main(String[] arguments) throws Exception {
        String authority = arguments[0];
        HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(20)).build();
        post(client, authority, "/topic/add-topic", "{\"topicName\":\"news\",\"partitions\":2}");
        post(client, authority, "/topic/add-topic", "{\"topicName\":\"news\"}");
        post(client, authority, "/publish/news", "{\"messageID\":1,\"message\":\"" + "x".repeat(100_000) + "\"}");
        post(client, authority, "/publish/news", "{\"messageID\":2,\"message\":\"ä\"}");
        print(client.send(request(authority, "/health").GET().build(), BodyHandlers.ofString()));

        StringBuilder heard = new StringBuilder();
        CompletableFuture<String> connected = new CompletableFuture<>();
        WebSocket socket = client.newWebSocketBuilder().subprotocols("v12.stomp")
            .buildAsync(URI.create("ws://" + authority + "/stomp"), new WebSocket.Listener() {
                @Override
                public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
                    heard.append(data);
                    if (last) {
                        connected.complete(heard.toString());
                    }
                    return WebSocket.Listener.super.onText(from, data, last);
                }
            }).get(20, TimeUnit.SECONDS);
        socket.sendText("CONNECT\naccept-version:1.2\nhost:localhost\n\n\0", true).get(20, TimeUnit.SECONDS);
        System.out.println(connected.get(20, TimeUnit.SECONDS).split("\n")[0] + " " + socket.getSubprotocol());
        System.exit(0);
    }

    static HttpRequest.Builder request(String authority, String path) {
        return HttpRequest.newBuilder(URI.create("http://" + authority + path)).timeout(Duration.ofSeconds(20));
    }

    static void post(HttpClient client, String authority, String path, String body) throws Exception {
        HttpRequest request = request(authority, path).header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body)).build();
        print(client.send(request, BodyHandlers.ofString()));
    }

    static void print(java.net.http.HttpResponse<String> response) {
        System.out.println(response.statusCode() + " " + response.version() + " " + response.body());
    }
}

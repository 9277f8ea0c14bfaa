package wan.app.terminal;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import wan.op.WanException;

/** Serves numbers at {@code /metrics}, in Prometheus' text format. */
public final class MetricsServer implements AutoCloseable {
    private final HttpServer server;
    private final ExecutorService thread = Executors.newSingleThreadExecutor(
            task -> Thread.ofPlatform().daemon().name("wan-metrics").unstarted(task));

    /**
     * Starts it.
     *
     * @param port 0 for any that is free
     * @param text the numbers of the moment; called from another thread
     */
    public MetricsServer(String host, int port, Supplier<String> text) {
        try {
            server = HttpServer.create(new InetSocketAddress(host, port), 0);
        } catch (IOException | IllegalArgumentException e) {
            throw new WanException(
                    "--metrics-port: cannot listen on " + host + " port " + port + ": " + e.getMessage(), e);
        }
        server.setExecutor(thread);
        server.createContext("/metrics", exchange -> {
            try (exchange) {
                byte[] body = text.get().getBytes(StandardCharsets.UTF_8);
                exchange.getResponseHeaders().set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }
        });
        server.start();
    }

    /** Where it is: {@code http://127.0.0.1:9400/metrics}. */
    public String address() {
        InetSocketAddress at = server.getAddress();
        return "http://" + at.getHostString() + ":" + at.getPort() + "/metrics";
    }

    @Override
    public void close() {
        server.stop(0);
        thread.shutdownNow();
    }
}

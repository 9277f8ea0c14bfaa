package capture.figures;

import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.SavedResult;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The interactive report: one HTML file that holds its script, its style and all numbers, and makes no network request.
 *
 * <p>Its content security policy allows that one script and that one style, by their hashes, and nothing else. Names and prompts from
 * result files stand in a JSON island whose markup characters are escaped; the script puts them on the page as text only.
 */
public final class Report {
    private Report() {}

    /**
     * The file's content, UTF-8: most of it are numbers in base64, which are bytes from the start.
     *
     * @param results at least one, open
     * @param version of this program
     */
    public static byte[] write(List<SavedResult> results, MeasureOptions measures, RoleOptions roles, String version) {
        return write(results, measures, roles, version, List.of());
    }

    /**
     * As the other, with the video of the first run.
     *
     * @param frames one picture for each latent frame, or none
     */
    public static byte[] write(
            List<SavedResult> results,
            MeasureOptions measures,
            RoleOptions roles,
            String version,
            List<BufferedImage> frames) {
        ObjectNode data = JsonMapper.shared().createObjectNode().put("version", version);
        ArrayNode definitions = data.putArray("measures");
        for (Measure measure : Measure.values()) {
            definitions
                    .addObject()
                    .put("id", measure.id())
                    .put("title", measure.title())
                    .put("definition", measure.definition())
                    .put("formula", measure.formula())
                    .put("source", measure.source())
                    .put("signed", measure.signed());
        }
        ArrayNode rules = data.putArray("rules");
        for (RoleRule rule : RoleRule.values()) {
            ObjectNode entry = rules.addObject().put("id", rule.id());
            rule.names().forEach(entry.putArray("names")::add);
            entry.put("definition", rule.definition()).put("source", rule.source());
            entry.put(
                    "constants",
                    String.join(
                            "; ",
                            rule.constants(roles).stream()
                                    .map(c -> c.name() + " " + c.value()
                                            + (c.published()
                                                    ? " (default published)"
                                                    : " (not published, default ours)"))
                                    .toList()));
        }
        ArrayNode runs = data.putArray("runs");
        ByteArrayOutputStream blobs = new ByteArrayOutputStream();
        RunBlob.Room room = RunBlob.Room.ALL.sharedBy(results.size());
        for (int i = 0; i < results.size(); i++) {
            SavedResult result = results.get(i);
            boolean repeated = results.stream()
                            .filter(other -> other.name().equals(result.name()))
                            .count()
                    > 1;
            RunBlob blob = RunBlob.of(result, measures, roles, room);
            runs.add(blob.description().put("name", repeated ? result.name() + " (" + (i + 1) + ")" : result.name()));
            blobs.writeBytes(utf8("<script type=\"text/plain\" id=\"run" + i + "\">"));
            blobs.writeBytes(Base64.getEncoder().encode(blob.bytes()));
            blobs.writeBytes(utf8("</script>\n"));
        }
        if (!frames.isEmpty()) {
            data.set("film", Film.of(results.getFirst(), frames));
        }
        String script = resource("report.js");
        String style = resource("report.css");
        String policy = "default-src 'none'; script-src '" + hash(script) + "'; style-src '" + hash(style)
                + "'; img-src blob:; base-uri 'none'; form-action 'none'";
        String title = "Attention of "
                + String.join(", ", results.stream().map(SavedResult::name).toList());
        String page = resource("report.html");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int from = 0;
        for (int open = page.indexOf("{{"); open >= 0; open = page.indexOf("{{", from)) {
            int close = page.indexOf("}}", open);
            out.writeBytes(utf8(page.substring(from, open)));
            out.writeBytes(
                    switch (page.substring(open + 2, close)) {
                        case "csp" -> utf8(policy);
                        case "title" -> utf8(SvgFigure.escape(title));
                        case "style" -> utf8(style);
                        case "script" -> utf8(script);
                        case "blobs" -> blobs.toByteArray();
                        case "data" -> utf8(island(data.toString()));
                        default -> throw new IllegalStateException("report.html: unknown place at " + open);
                    });
            from = close + 2;
        }
        out.writeBytes(utf8(page.substring(from)));
        return out.toByteArray();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** JSON that cannot end its script element or open a comment, whatever its strings hold. */
    static String island(String json) {
        StringBuilder out = new StringBuilder(json.length());
        for (int i = 0; i < json.length(); i++) {
            char c = json.charAt(i);
            switch (c) {
                case '<', '>', '&', '\u2028', '\u2029' -> out.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
                default -> out.append(c);
            }
        }
        return out.toString();
    }

    private static String hash(String text) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return "sha256-" + Base64.getEncoder().encodeToString(digest);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String resource(String name) {
        try (InputStream in = Objects.requireNonNull(Report.class.getResourceAsStream(name), name)) {
            // Browsers hash what they parsed, and parsing turns CRLF into LF.
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).replace("\r\n", "\n");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

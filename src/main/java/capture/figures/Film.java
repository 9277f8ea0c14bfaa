package capture.figures;

import capture.analysis.CapturedPass;
import capture.analysis.RunInfo;
import capture.analysis.RunResult;
import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.op.AttentionKind;
import wan.op.Quantity;

/**
 * The video of a run as the report embeds it: a JPEG of each latent frame, what the captured regions of queries attend, and where the
 * frames look for the first tokens of the prompt.
 *
 * <p>A map is bytes, 255 for its largest weight. Layers and heads are one axis, as in {@link RunBlob}; where maps of
 * tokens would take too much room, they are means over the heads of a layer, then over squares of tokens.
 */
final class Film {
    /** Of all pictures, in bytes before base64. */
    static final long MOST_PICTURES = 4_000_000;

    private static final long MOST_MAPS = 3_000_000;
    private static final int MOST_WIDTH = 320;
    private static final int LEAST_WIDTH = 48;
    private static final int MOST_TOKENS = 32;

    private final RunResult result;
    private final RunInfo info;

    private Film(RunResult result) {
        this.result = result;
        this.info = result.info();
    }

    static ObjectNode of(RunResult result, List<BufferedImage> frames) {
        Film film = new Film(result);
        ObjectNode out = JsonMapper.shared().createObjectNode();
        film.addPictures(out, frames);
        out.putArray("grid").add(film.info.tokenRows()).add(film.info.tokenCols());
        film.addPoints(out.putArray("points"));
        film.addTokens(out);
        return out;
    }

    private void addPictures(ObjectNode out, List<BufferedImage> frames) {
        int width = Math.min(MOST_WIDTH, frames.getFirst().getWidth());
        List<byte[]> pictures = new ArrayList<>();
        for (; ; width = width * 3 / 4) {
            pictures.clear();
            long bytes = 0;
            for (BufferedImage frame : frames) {
                byte[] picture = Pictures.jpeg(Pictures.scaled(frame, Math.max(1, width)));
                pictures.add(picture);
                bytes += picture.length;
            }
            if (bytes <= MOST_PICTURES || width <= LEAST_WIDTH) {
                break;
            }
        }
        BufferedImage first = frames.getFirst();
        out.put("ratio", first.getHeight() / (double) first.getWidth());
        ArrayNode list = out.putArray("frames");
        pictures.forEach(picture -> list.add(base64(picture)));
    }

    private void addPoints(ArrayNode out) {
        String text = info.metadata().get("query_regions");
        if (text == null) {
            return;
        }
        JsonNode boxes = JsonMapper.shared().readTree(text);
        long left = MOST_MAPS;
        for (CapturedPass pass : result.info().passes()) {
            List<JsonNode> its = new ArrayList<>();
            for (JsonNode box : boxes) {
                int frame = box.get("frame").asInt();
                if (frame >= pass.firstFrame() && frame < pass.firstFrame() + pass.frames()) {
                    its.add(box);
                }
            }
            int keys = pass.keyFrames().size() * info.frameSeqLen();
            for (int region = 0; region < its.size(); region++) {
                byte[] maps = pointMaps(pass, region, its.size(), keys);
                left -= maps.length;
                if (maps.length == 0 || left < 0) {
                    continue;
                }
                ObjectNode entry = ((ObjectNode) its.get(region).deepCopy())
                        .put("pass", pass.id().label());
                pass.keyFrames().forEach(entry.putArray("keys")::add);
                entry.put("maps", base64(maps));
                out.add(entry);
            }
        }
    }

    /** [head, key frame, row, column]; empty if they were not captured. */
    private byte[] pointMaps(CapturedPass pass, int region, int regions, int keys) {
        int heads = info.heads().size();
        byte[] maps = new byte[info.layers().size() * heads * keys];
        for (int l = 0; l < info.layers().size(); l++) {
            float[] values = result.captured(
                    AttentionKind.SELF,
                    Quantity.REGION_MASS,
                    pass,
                    info.layers().get(l));
            if (values.length != heads * regions * keys) {
                return new byte[0];
            }
            for (int h = 0; h < heads; h++) {
                float[] map = new float[keys];
                System.arraycopy(values, (h * regions + region) * keys, map, 0, keys);
                steps(map, maps, (l * heads + h) * keys);
            }
        }
        return maps;
    }

    /** Where each frame looks for a token: [head or layer, token, frame, row, column]. */
    private void addTokens(ObjectNode out) {
        List<CapturedPass> passes = new ArrayList<>();
        for (CapturedPass pass : result.crossPasses(Quantity.QUERY_MASS)) {
            if (passes.stream().noneMatch(other -> other.firstFrame() == pass.firstFrame())) {
                passes.add(pass);
            }
        }
        if (passes.isEmpty()) {
            return;
        }
        int heads = info.heads().size();
        int frames = passes.stream().mapToInt(CapturedPass::frames).sum();
        int tokens = 0;
        int groups = info.layers().size() * heads;
        int pool = 1;
        float[][] maps = new float[0][];
        boolean byHead = true;
        int at = 0;
        for (CapturedPass pass : passes) {
            for (int l = 0; l < info.layers().size(); l++) {
                float[] values = result.captured(
                        AttentionKind.CROSS,
                        Quantity.QUERY_MASS,
                        pass,
                        info.layers().get(l));
                int queries = pass.frames() * info.frameSeqLen();
                int texts = values.length / (heads * queries);
                if (maps.length == 0) {
                    tokens = Math.min(MOST_TOKENS, texts);
                    long each = (long) tokens * frames;
                    byHead = each * groups * cells(2) <= MOST_MAPS;
                    groups = byHead ? groups : info.layers().size();
                    while (each * groups * cells(pool) > MOST_MAPS && cells(pool) > 1) {
                        pool++;
                    }
                    maps = new float[groups * tokens][frames * cells(pool)];
                }
                for (int i = 0; i < heads * queries * Math.min(tokens, texts); i++) {
                    int token = i % Math.min(tokens, texts);
                    int query = i / Math.min(tokens, texts) % queries;
                    int head = i / Math.min(tokens, texts) / queries;
                    int group = byHead ? l * heads + head : l;
                    int place = query % info.frameSeqLen();
                    int row = place / info.tokenCols() / pool;
                    int cell = row * pooled(info.tokenCols(), pool) + place % info.tokenCols() / pool;
                    maps[group * tokens + token][(at + query / info.frameSeqLen()) * cells(pool) + cell] +=
                            values[(head * queries + query) * texts + token];
                }
            }
            at += pass.frames();
        }
        byte[] bytes = new byte[maps.length * frames * cells(pool)];
        for (int i = 0; i < maps.length; i++) {
            steps(maps[i], bytes, i * frames * cells(pool));
        }
        ObjectNode words = out.putObject("words");
        ArrayNode of = words.putArray("keys");
        for (CapturedPass pass : passes) {
            for (int i = 0; i < pass.frames(); i++) {
                of.add(pass.firstFrame() + i);
            }
        }
        words.put("tokens", tokens).put("byHead", byHead).put("maps", base64(bytes));
        words.put("rows", pooled(info.tokenRows(), pool)).put("columns", pooled(info.tokenCols(), pool));
    }

    private int cells(int pool) {
        return pooled(info.tokenRows(), pool) * pooled(info.tokenCols(), pool);
    }

    private static int pooled(int count, int pool) {
        return Math.ceilDiv(count, pool);
    }

    private static void steps(float[] map, byte[] to, int at) {
        float most = 0;
        for (float value : map) {
            most = Math.max(most, Float.isFinite(value) ? value : 0);
        }
        for (int i = 0; i < map.length; i++) {
            to[at + i] = (byte) (most > 0 && Float.isFinite(map[i]) ? Math.round(map[i] / most * 255) : 0);
        }
    }

    private static String base64(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }
}

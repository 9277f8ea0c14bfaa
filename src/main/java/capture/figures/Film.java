package capture.figures;

import capture.analysis.CapturedPass;
import capture.analysis.RunInfo;
import capture.analysis.SavedResult;
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
 * The video of a run as the report embeds it: a JPEG of each latent frame, what the captured regions of queries attend to, and
 * which regions attend to the words of the prompt.
 *
 * <p>A map is bytes, 255 for its largest weight. Layers and heads are one axis, as in {@link RunBlob}; where maps of words
 * would take too much room, they are means over the heads of a layer, then over squares of tokens, and of a long prompt the
 * first words only. Where the file does not say what its tokens are, each is a word of its own.
 */
final class Film {
    /** Of all pictures, in bytes before base64. */
    static final long MOST_PICTURES = 4_000_000;

    private static final long MOST_MAPS = 3_000_000;
    private static final int MOST_WIDTH = 320;
    private static final int LEAST_WIDTH = 48;
    private static final int LEAST_WORDS = 16;
    private static final int MOST_WORDS = 96;

    /** Squares of tokens that words are still worth having for. */
    private static final int COARSEST = 4;

    private final SavedResult result;
    private final RunInfo info;

    private Film(SavedResult result) {
        this.result = result;
        this.info = result.info();
    }

    static ObjectNode of(SavedResult result, List<BufferedImage> frames) {
        Film film = new Film(result);
        ObjectNode out = JsonMapper.shared().createObjectNode();
        film.addPictures(out, frames);
        out.putArray("grid").add(film.info.tokenRows()).add(film.info.tokenCols());
        film.addPoints(out.putArray("points"));
        film.addWords(out);
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

    /** Where each frame looks for a word: [head or layer, word, frame, row, column]. */
    private void addWords(ObjectNode out) {
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
        int layers = info.layers().size();
        int frames = passes.stream().mapToInt(CapturedPass::frames).sum();
        int texts = queryMass(passes.getFirst(), info.layers().getFirst()).length
                / (heads * passes.getFirst().frames() * info.frameSeqLen());
        List<PromptWord> words = PromptWord.of(info.promptTokens(), texts);
        long room = MOST_MAPS / ((long) layers * frames * cells(COARSEST));
        words = words.subList(0, Math.min(words.size(), Math.clamp(room, LEAST_WORDS, MOST_WORDS)));
        long each = (long) words.size() * frames;
        boolean byHead = each * layers * heads * cells(2) <= MOST_MAPS;
        int groups = byHead ? layers * heads : layers;
        int pool = 1;
        while (each * groups * cells(pool) > MOST_MAPS && cells(pool) > 1) {
            pool++;
        }
        float[][] maps = new float[groups * words.size()][frames * cells(pool)];
        int at = 0;
        for (CapturedPass pass : passes) {
            int queries = pass.frames() * info.frameSeqLen();
            for (int l = 0; l < layers; l++) {
                float[] values = queryMass(pass, info.layers().get(l));
                for (int head = 0; head < heads; head++) {
                    int group = byHead ? l * heads + head : l;
                    for (int query = 0; query < queries; query++) {
                        int cell = (at + query / info.frameSeqLen()) * cells(pool)
                                + cell(query % info.frameSeqLen(), pool);
                        for (int w = 0; w < words.size(); w++) {
                            maps[group * words.size() + w][cell] +=
                                    words.get(w).sum(values, (head * queries + query) * texts);
                        }
                    }
                }
            }
            at += pass.frames();
        }
        byte[] bytes = new byte[maps.length * frames * cells(pool)];
        for (int i = 0; i < maps.length; i++) {
            steps(maps[i], bytes, i * frames * cells(pool));
        }
        ObjectNode entry = out.putObject("words");
        ArrayNode of = entry.putArray("keys");
        for (CapturedPass pass : passes) {
            for (int i = 0; i < pass.frames(); i++) {
                of.add(pass.firstFrame() + i);
            }
        }
        ArrayNode names = entry.putArray("names");
        words.forEach(word -> names.add(word.text()));
        entry.put("byHead", byHead).put("maps", base64(bytes));
        entry.put("rows", pooled(info.tokenRows(), pool)).put("columns", pooled(info.tokenCols(), pool));
    }

    /** [head, query, token] */
    private float[] queryMass(CapturedPass pass, int layer) {
        return result.captured(AttentionKind.CROSS, Quantity.QUERY_MASS, pass, layer);
    }

    /** The cell of a pooled grid that a frame's token lies in. */
    private int cell(int token, int pool) {
        int row = token / info.tokenCols() / pool;
        return row * pooled(info.tokenCols(), pool) + token % info.tokenCols() / pool;
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

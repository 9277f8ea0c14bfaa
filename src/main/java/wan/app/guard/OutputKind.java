package wan.app.guard;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The kind of an output: which files are written for the name that the user gives, and how an earlier output is distinguished
 * from a file of another program, which is not replaced.
 */
public enum OutputKind {
    /** What a run captured, in one file. */
    RESULT(text -> text.contains("wan_attn_version") || isTorchFileOfOurs(text)),
    /** What a run captured, a {@code .pt} file for each layer. */
    RESULT_FOLDER(OutputKind::isTorchFileOfOurs) {
        @Override
        List<Path> files(Path named) {
            return List.copyOf(matching(named, "layer\\d+\\.pt"));
        }
    },
    /** What a run had captured when it ended before its time. */
    PARTIAL_RESULT(text -> text.contains("wan_attn_version")),
    /** The latents of a run. */
    LATENTS(text -> text.contains("wan_attn_version")),
    /** Latents of a video that was given. */
    GIVEN_LATENTS(text -> text.contains("\"initial_latent\"") && text.contains("\"__metadata__\"")),
    /** A video's file, or a folder of its frames; nothing in them tells ours from others. */
    VIDEO(_ -> false) {
        @Override
        List<Path> files(Path named) {
            List<Path> files = new ArrayList<>(List.of(named));
            files.addAll(matching(named, "\\d+\\.png"));
            return files;
        }
    },
    /** Embeddings of prompts. */
    EMBEDDINGS(text -> text.contains("\"prompt_embeds\"") && text.contains("\"__metadata__\"")),
    /** The interactive page. */
    PAGE(text -> text.contains("<meta name=\"generator\" content=\"wan-attn\">")),
    /** A picture. */
    FIGURE(text -> text.contains("<!-- wan-attn -->")
            || text.contains("Software\0wan-attn")
            || (text.startsWith("%PDF") && text.contains("/Producer (wan-attn)"))),
    /** Measures as a table, CSV or JSON. */
    MEASURES(text -> text.startsWith("run,pass,frame_block,layer,head")
            || (text.startsWith("{") && text.contains("\"runs\"") && text.contains("\"agreement\""))
            || Pattern.compile("\\A.*: \\d+ heads, .*, queries of frame block \\d+ ")
                    .matcher(text)
                    .find()),
    /** How far two runs are from each other, JSON. */
    COMPARISON(
            text -> text.startsWith("{") && text.contains("\"wan_attn_version\"") && text.contains("\"comparison\"")),
    /** What edits do to a run, JSON, CSV or Parquet. */
    ABLATION(text -> text.startsWith("edit,layer,head,from,computed")
            || (text.startsWith("PAR1") && text.contains("relative_l2") && text.contains("computed"))
            || (text.startsWith("{") && text.contains("\"wan_attn_version\"") && text.contains("\"ablation\""))),
    /** The folder of a sweep, which adds to what it finds of its own. */
    SWEEP(text -> text.startsWith("{") && text.contains("\"axes\"")) {
        @Override
        List<Path> files(Path named) {
            return List.of(named, named.resolve("sweep.json"));
        }
    },
    /** Events of a sweep, JSON lines, which are added to. */
    EVENTS(text -> text.startsWith("{\"time\":") && text.contains("\"event\":")),
    /** Roles of heads, a row for each layer. */
    ROLES(text -> text.matches("(?s)[a-z,\\r\\n]*")),
    /** Forcing-KV's map of heads. */
    HEAD_MAP(text -> text.contains("\"forcingkv_offline\"") && text.contains("\"wan_attn\"")),
    /** A folder with a file for each head. */
    HEAD_FILES(OutputKind::isTorchFileOfOurs) {
        @Override
        List<Path> files(Path named) {
            return List.copyOf(matching(named, "layer\\d+_head\\d+\\.pt"));
        }
    },
    /** Weights in one file, or in shards with an index. They may be all that is left of a model, so no command replaces them unasked. */
    WEIGHTS(_ -> false) {
        @Override
        List<Path> files(Path named) {
            List<Path> files = new ArrayList<>(List.of(named, named.resolveSibling(nameOf(named) + ".index.json")));
            String stem = Pattern.quote(nameOf(named).replaceFirst("\\.safetensors$", ""));
            files.addAll(matching(named.toAbsolutePath().getParent(), stem + "-\\d+-of-\\d+\\.safetensors"));
            return files;
        }
    },
    /** A folder with a model; no command replaces what is in one unasked. */
    MODEL(_ -> false) {
        @Override
        List<Path> files(Path named) {
            return List.of(named.resolve("config.json"), named.resolve("diffusion_pytorch_model.safetensors"));
        }
    };

    private static final int LOOKED_AT_BYTES = 1 << 20;

    @SuppressWarnings("ImmutableEnumChecker") // lambdas without state
    private final Predicate<String> isOne;

    OutputKind(Predicate<String> isOne) {
        this.isOne = isOne;
    }

    /** Whether ours cannot be told from others, or are as precious: then none is replaced unasked. */
    boolean isNeverReplacedUnasked() {
        return this == WEIGHTS || this == MODEL || this == VIDEO;
    }

    /** The files that may be written, there or not; of those whose number depends on the run, the ones that are there. */
    List<Path> files(Path named) {
        return List.of(named);
    }

    /** Whether what is there is of this kind and was written by this program. */
    boolean isEarlierOne(Path file) {
        try (RandomAccessFile in = new RandomAccessFile(file.toFile(), "r")) {
            byte[] start = new byte[(int) Math.min(in.length(), LOOKED_AT_BYTES)];
            in.readFully(start);
            long endAt = Math.max(start.length, in.length() - LOOKED_AT_BYTES);
            byte[] end = new byte[(int) (in.length() - endAt)];
            in.seek(endAt);
            in.readFully(end);
            String text = new String(start, StandardCharsets.ISO_8859_1) + new String(end, StandardCharsets.ISO_8859_1);
            return isOne.test(text);
        } catch (IOException _) {
            return false; // what cannot be read is not known to be ours
        }
    }

    /** In the directory at the end of the zip file there is an entry that only we make. */
    private static boolean isTorchFileOfOurs(String text) {
        return text.startsWith("PK") && text.contains("/written_by_wan_attn");
    }

    private static String nameOf(Path file) {
        return String.valueOf(file.getFileName());
    }

    private static Set<Path> matching(@Nullable Path folder, String name) {
        Pattern pattern = Pattern.compile(name);
        Set<Path> files = new TreeSet<>();
        if (folder != null && Files.isDirectory(folder)) {
            try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
                for (Path file : all) {
                    if (pattern.matcher(nameOf(file)).matches()) {
                        files.add(file);
                    }
                }
            } catch (IOException _) {
                return files; // then nothing can be written there either
            }
        }
        return files;
    }
}

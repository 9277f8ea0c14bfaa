package wan.launch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The command line, split into what the launcher takes and what the program gets.
 *
 * @param java the value of {@code --java}, or null
 * @param heap the value of {@code --heap}, or null
 * @param rest everything else, in order
 */
record Arguments(String java, String heap, List<String> rest) {
    /** A file by its number in this process, alone or behind {@code --option=}. */
    private static final Pattern OPEN_FILE = Pattern.compile("(--?[^=]*=|)/(?:dev|proc/self)/fd/(\\d{1,5})");

    /**
     * Takes {@code --java} and {@code --heap}, with the value after a space or {@code =}, from wherever they stand before a
     * {@code --}.
     *
     * @throws LaunchException when a value is missing or not a size
     */
    static Arguments of(String[] args) throws LaunchException {
        String java = null;
        String heap = null;
        List<String> rest = new ArrayList<>();
        for (int i = 0; i < args.length; i++) {
            String arg = args[i];
            if (arg.equals("--")) {
                rest.addAll(List.of(args).subList(i, args.length));
                break;
            }
            if (arg.equals("--java") || arg.equals("--heap")) {
                if (i + 1 == args.length) {
                    throw new LaunchException(2, arg + ": expected a value after it, got none");
                }
                arg = arg + "=" + args[++i];
            }
            if (arg.startsWith("--java=")) {
                java = arg.substring(7);
            } else if (arg.startsWith("--heap=")) {
                heap = arg.substring(7);
            } else {
                rest.add(arg);
            }
        }
        return new Arguments(java, heap, rest);
    }

    /**
     * The arguments, with names of files that only the launcher has open as names that the program can open: for {@code <(...)} bash
     * opens a pipe and passes {@code /dev/fd/63}, but the program inherits no more than stdin, stdout and stderr.
     *
     * @param own the launcher's open files, such as {@code /proc/4711/fd}
     */
    List<String> restWithFiles(Path own) {
        List<String> named = new ArrayList<>();
        for (String arg : rest) {
            Matcher matcher = OPEN_FILE.matcher(arg);
            boolean inherited = !matcher.matches() || Integer.parseInt(matcher.group(2)) <= 2;
            Path file = inherited ? null : own.resolve(matcher.group(2));
            named.add(file != null && Files.exists(file) ? matcher.group(1) + file : arg);
        }
        return named;
    }

    /** Whether the command reads results and is over in seconds, of which the optimising compiler would take more than it gives back. */
    boolean isShort() {
        return !rest.isEmpty() && List.of("report", "analyze", "plot").contains(rest.get(0));
    }

    /** Whether the command goes through a video frame by frame. */
    boolean isOfVideo() {
        return !rest.isEmpty() && List.of("decode", "encode").contains(rest.get(0));
    }

    /**
     * The JVM's flag for the heap: {@code 20g} (also k, m, t) is absolute, {@code 60%} a part of the memory of the machine
     * or container. Without a wish it is 75 %: memory-mapped weights lie outside the heap.
     *
     * @throws LaunchException when it is not a size
     */
    String heapFlag() throws LaunchException {
        if (heap == null) {
            return "-XX:MaxRAMPercentage=75";
        }
        int digits = 0;
        while (digits < heap.length() && heap.charAt(digits) >= '0' && heap.charAt(digits) <= '9') {
            digits++;
        }
        String number = heap.substring(0, digits);
        String unit = heap.substring(digits);
        if (digits > 0 && digits < 10) {
            if (unit.equals("%") && Integer.parseInt(number) >= 1 && Integer.parseInt(number) <= 100) {
                return "-XX:MaxRAMPercentage=" + number;
            }
            if (unit.length() == 1 && "kKmMgGtT".contains(unit)) {
                return "-Xmx" + heap;
            }
        }
        throw new LaunchException(2, "--heap " + heap + ": expected a size as 20g, 800m or 60%");
    }

    /**
     * The arguments as they were typed, where Java could not decode them: in the C locale (a container without LANG) it turns
     * every character that is not ASCII into a question mark. Linux still has the bytes.
     *
     * @return the same arguments where nothing is wrong or can be done
     */
    static String[] restored(String[] args, Path commandLine) {
        try {
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(Files.readAllBytes(commandLine)))
                    .toString();
            String[] all = text.split("\0", -1); // a NUL after each: one empty string more at the end
            int first = all.length - 1 - args.length;
            if (first <= 0) {
                return args;
            }
            String[] restored = new String[args.length];
            System.arraycopy(all, first, restored, 0, args.length);
            return restored;
        } catch (CharacterCodingException e) {
            return args; // not UTF-8 either
        } catch (IOException e) {
            return args; // not Linux
        }
    }
}

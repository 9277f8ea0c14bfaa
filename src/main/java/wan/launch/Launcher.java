package wan.launch;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Starts {@code wan.app.Main} on a JDK that can run it: Java 25 or newer, with the Vector API and native access.
 *
 * <p>Environment: {@code WAN_ATTN_JAVA} (a JDK home or its java program), {@code WAN_ATTN_JAVA_OPTS} (more JVM flags, separated
 * by spaces; they come last and win), {@code TORNADOVM_HOME} (a TornadoVM SDK, whose flags are added).
 */
public final class Launcher {
    private static final String MAIN = "wan.app.Main";

    /** Without it a JVM that lacks memory writes its report into stdout and into files of the working folder. */
    private static final String NO_REPORT = "-XX:+SuppressFatalErrorMessage";

    private static final int ABORTED = 128 + 6;

    private Launcher() {}

    /**
     * Finds the JDK, runs the program and exits as it did.
     *
     * @param args {@code --java} and {@code --heap} are taken, everything else goes to the program
     */
    public static void main(String[] args) {
        int exitCode;
        try {
            exitCode = run(args, System.getenv());
        } catch (LaunchException e) {
            complain(e.getMessage());
            exitCode = e.exitCode;
        } catch (IOException e) {
            complain("cannot start Java: " + e.getMessage());
            exitCode = 1;
        } catch (InterruptedException e) {
            exitCode = 1;
        }
        System.exit(exitCode);
    }

    private static int run(String[] given, Map<String, String> env)
            throws LaunchException, IOException, InterruptedException {
        boolean mangled = System.getProperty("sun.jnu.encoding", "").startsWith("ANSI_X3.4");
        Arguments arguments = Arguments.of(mangled ? Arguments.restored(given, Path.of("/proc/self/cmdline")) : given);

        Tornado found = tornado(env);
        List<String> tornado = found.flags();
        String problem = found.problem();
        JdkSearch search = new JdkSearch(
                env,
                Path.of(System.getProperty("java.home")),
                JdkSearch.usualFolders(env, System.getProperty("user.home")));
        Jdk jdk = choose(search, arguments.java(), !tornado.isEmpty());
        if (!tornado.isEmpty() && !jdk.runsTornado()) {
            problem = "TornadoVM needs JVMCI (JDK " + Jdk.LOWEST + " to " + Jdk.LAST_WITH_JVMCI + "), and " + jdk.home()
                    + " is Java " + jdk.version() + "; name another with --java";
            tornado = List.of();
        }

        String more = env.getOrDefault("WAN_ATTN_JAVA_OPTS", "");
        List<String> command = command(jdk, arguments, tornado, more);
        command.add("-Dwan.launched=true");
        if (!problem.isEmpty()) {
            command.add("-Dwan.tornado.problem=" + (mangled ? problem.replaceAll("[^\\x20-\\x7e]", "?") : problem));
        }
        command.add("-Dwan.stderr.terminal=" + stderrIsTerminal());
        boolean limited = isLimited(Path.of("/proc/self/limits"));
        if (limited) {
            command.add(1, NO_REPORT);
        }
        command.addAll(StartCache.classPath(System.getProperty("java.class.path"), tornado.isEmpty(), more));
        if (mangled) {
            command.add("-Dwan.args.encoded=true");
        }
        command.add(MAIN);
        Path openFiles = Path.of("/proc", String.valueOf(ProcessHandle.current().pid()), "fd");
        for (String argument : arguments.restWithFiles(openFiles)) {
            command.add(mangled ? URLEncoder.encode(argument, StandardCharsets.UTF_8) : argument);
        }
        int exitCode = runAndWait(command, mangled);
        if (limited && exitCode == ABORTED) {
            complain("Java gave up, most likely because ulimit -v is too small: it counts what Java reserves, some 6 GB"
                    + " and the heap; raise it, or take less heap with --heap SIZE");
        }
        return exitCode;
    }

    /** Whether the address space is limited, which Java reserves freely. */
    static boolean isLimited(Path limits) {
        try {
            return Files.readAllLines(limits).stream()
                    .anyMatch(line -> line.startsWith("Max address space") && !line.contains("unlimited"));
        } catch (IOException e) {
            return false; // not Linux
        }
    }

    /** The JDK to use: what was named, or what is found. */
    static Jdk choose(JdkSearch search, String option, boolean forTornado) throws LaunchException {
        Jdk jdk = search.named(option);
        if (jdk == null && forTornado) {
            jdk = search.find(true);
        }
        if (jdk == null) {
            jdk = search.find(false);
        }
        if (jdk == null) {
            throw new LaunchException(
                    1,
                    "no JDK " + Jdk.LOWEST + " or newer found; looked at " + search.seen()
                            + "; install one, or name it with --java PATH or WAN_ATTN_JAVA");
        }
        return jdk;
    }

    /** The command up to the class path. */
    static List<String> command(Jdk jdk, Arguments arguments, List<String> tornado, String more)
            throws LaunchException {
        List<String> command = new ArrayList<>();
        command.add(jdk.executable().toString());
        command.addAll(tornado);
        command.add("--add-modules");
        command.add("jdk.incubator.vector");
        command.add("--enable-native-access=ALL-UNNAMED");
        command.add("-XX:+DisplayVMOutputToStderr"); // what the JVM says is no result
        List<String> wishes = new ArrayList<>();
        boolean collectorChosen = false;
        for (String flag : more.split(" ")) {
            if (!flag.isBlank()) {
                wishes.add(flag.strip());
                collectorChosen |= flag.startsWith("-XX:+Use") && flag.endsWith("GC");
            }
        }
        if (!collectorChosen) {
            // Throughput counts, not pauses, and other collectors cut large arrays into regions.
            command.add("-XX:+UseParallelGC");
        }
        if (arguments.isShort()) {
            command.add("-XX:TieredStopAtLevel=1");
        }
        if (arguments.isOfVideo()) {
            // What is kept lies outside of the heap; the rest is garbage after a frame and should not get old before.
            command.add("-Xmn48m");
            command.add("-XX:SurvivorRatio=1");
            command.add("-XX:InitialSurvivorRatio=3");
            command.add("-XX:-UseAdaptiveSizePolicy");
        }
        command.add(arguments.heapFlag());
        command.addAll(wishes);
        return command;
    }

    /** The flags for TornadoVM, or why there are none: most commands do without, so it is the program that says so. */
    private record Tornado(List<String> flags, String problem) {}

    private static Tornado tornado(Map<String, String> env) {
        String home = env.get("TORNADOVM_HOME");
        if (home == null || home.isBlank()) {
            return new Tornado(List.of(), "");
        }
        try {
            return new Tornado(TornadoSdk.flags(Path.of(home)), "");
        } catch (IOException | InvalidPathException e) {
            return new Tornado(List.of(), "TORNADOVM_HOME=" + home + ": " + e.getMessage());
        }
    }

    private static int runAndWait(List<String> command, boolean utf8) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command).inheritIO().redirectError(ProcessBuilder.Redirect.PIPE);
        if (utf8) {
            builder.environment().put("LC_ALL", "C.UTF-8");
        }
        Stop stop = new Stop();
        Runtime.getRuntime().addShutdownHook(stop);
        Process process = stop.start(builder);
        int exitCode = process.waitFor();
        stop.awaitStderr();
        return exitCode;
    }

    /**
     * When the launcher is told to stop, so is the program; it may finish what it is writing. In place before the program
     * starts, so that there is no moment at which it could be left behind.
     */
    private static final class Stop extends Thread {
        private Process process;
        private Thread pump;
        private boolean stopping;

        Stop() {
            super("stop");
        }

        synchronized Process start(ProcessBuilder builder) throws IOException, InterruptedException {
            if (stopping) {
                throw new InterruptedException();
            }
            process = builder.start();
            pump = new Thread(
                    new StderrPump(process.getErrorStream(), new FileOutputStream(FileDescriptor.err)), "stderr");
            pump.setDaemon(true);
            pump.start();
            return process;
        }

        /** Waits for what the program said last; not for long, since a grandchild may hold the pipe open. */
        void awaitStderr() throws InterruptedException {
            pump.join(TimeUnit.SECONDS.toMillis(1));
        }

        private synchronized Process running() {
            stopping = true;
            return process;
        }

        @Override
        public void run() {
            Process running = running();
            if (running == null) {
                return;
            }
            // Not Process.destroy, which closes the pipe through which the program says what it saved.
            running.toHandle().destroy();
            try {
                running.waitFor(); // it saves what it has, which may take minutes; SIGKILL remains
                awaitStderr();
            } catch (InterruptedException e) {
                running.destroyForcibly();
            }
        }
    }

    /** The program cannot ask: its stderr is our pipe. */
    private static boolean stderrIsTerminal() {
        Path link = Path.of("/proc/self/fd/2");
        try {
            if (Files.isSymbolicLink(link)) {
                String target = Files.readSymbolicLink(link).toString();
                return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
            }
            if (Files.isExecutable(Path.of("/bin/test"))) {
                return new ProcessBuilder("/bin/test", "-t", "2")
                                .inheritIO()
                                .start()
                                .waitFor()
                        == 0;
            }
        } catch (IOException | InterruptedException e) {
            return false;
        }
        return System.console() != null;
    }

    private static void complain(String line) {
        System.err.println("wan-attn: " + line);
    }
}

package wan.launch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Folders that look like a JDK: a release file, and a {@code java} that is a shell script. */
final class FakeJdk {
    static final String ALL_MODULES = "java.base jdk.incubator.vector jdk.internal.vm.ci";

    private FakeJdk() {}

    /** A JDK with all modules, whose java does nothing. */
    static Path create(Path home, String version) throws IOException {
        return create(home, version, ALL_MODULES, "exit 0");
    }

    static Path create(Path home, String version, String modules, String script) throws IOException {
        Files.createDirectories(home.resolve("bin"));
        String release = "IMPLEMENTOR=\"Nobody\"\nJAVA_RUNTIME_VERSION=\"9.9\"\nJAVA_VERSION=\"" + version + "\"\n"
                + (modules.isEmpty() ? "" : "MODULES=\"" + modules + "\"\n");
        Files.writeString(home.resolve("release"), release);
        Path java = home.resolve("bin/java");
        Files.writeString(java, "#!/bin/sh\n" + script + "\n");
        if (!java.toFile().setExecutable(true)) {
            throw new IOException(java + " cannot be made executable");
        }
        return home;
    }
}

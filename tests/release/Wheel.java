package release;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * The Python package as a wheel: a zip with the modules and three files about them (PEP 427, PEP 566). Made here, so that a build needs
 * no Python; the same sources give the same bytes.
 */
final class Wheel {
    private Wheel() {}

    /**
     * Writes the wheel.
     *
     * @param root the project's folder
     * @param out the folder it is put into
     * @return its file
     */
    static Path write(Path root, Path out, String version) throws IOException {
        Map<String, byte[]> entries = new TreeMap<>();
        Path python = root.resolve("python");
        try (var all = Files.list(python.resolve("wan_attn"))) {
            for (Path file : all.filter(f -> f.toString().endsWith(".py")).toList()) {
                entries.put("wan_attn/" + file.getFileName(), Files.readAllBytes(file));
            }
        }
        String info = "wan_attn-" + version + ".dist-info/";
        entries.put(info + "licenses/LICENSE", Files.readAllBytes(root.resolve("LICENSE")));
        entries.put(info + "METADATA", metadata(python, version).getBytes(StandardCharsets.UTF_8));
        entries.put(
                info + "WHEEL",
                "Wheel-Version: 1.0\nGenerator: wan-attn\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                        .getBytes(StandardCharsets.UTF_8));
        StringBuilder record = new StringBuilder();
        entries.forEach((name, bytes) -> record.append(name)
                .append(",sha256=")
                .append(Base64.getUrlEncoder().withoutPadding().encodeToString(sha256(bytes)))
                .append(',')
                .append(bytes.length)
                .append('\n'));
        record.append(info).append("RECORD,,\n");
        Files.createDirectories(out);
        Path wheel = out.resolve("wan_attn-" + version + "-py3-none-any.whl");
        try (OutputStream file = Files.newOutputStream(wheel);
                ZipOutputStream zip = new ZipOutputStream(file)) {
            for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
                add(zip, entry.getKey(), entry.getValue());
            }
            add(zip, info + "RECORD", record.toString().getBytes(StandardCharsets.UTF_8));
        }
        return wheel;
    }

    /** What pyproject.toml says, in the words of a wheel, then the README. */
    private static String metadata(Path python, String version) throws IOException {
        String project = Files.readString(python.resolve("pyproject.toml"));
        return "Metadata-Version: 2.1\nName: wan-attn\nVersion: " + version + "\nSummary: "
                + field(project, "description") + "\nLicense: Apache-2.0\nRequires-Python: "
                + field(project, "requires-python")
                + "\nRequires-Dist: numpy\nDescription-Content-Type: text/markdown\n\n"
                + Files.readString(python.resolve("README.md"));
    }

    private static String field(String project, String name) {
        var matcher =
                java.util.regex.Pattern.compile("(?m)^" + name + " = \"(.*)\"$").matcher(project);
        if (!matcher.find()) {
            throw new IllegalStateException("python/pyproject.toml: expected " + name + ", got none");
        }
        return matcher.group(1);
    }

    private static void add(ZipOutputStream zip, String name, byte[] bytes) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        entry.setTimeLocal(
                java.time.LocalDateTime.of(1980, 2, 1, 0, 0)); // for 1 January Java adds the time of its time zone
        entry.setMethod(ZipEntry.STORED); // a few kilobytes, and no compressor's version in the bytes
        entry.setSize(bytes.length);
        CRC32 crc = new CRC32();
        crc.update(bytes);
        entry.setCrc(crc.getValue());
        zip.putNextEntry(entry);
        zip.write(bytes);
        zip.closeEntry();
    }

    private static byte[] sha256(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}

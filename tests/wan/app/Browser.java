package wan.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.logging.LogType;

/** Debian's chromium without a window, for tests. */
public final class Browser {
    private Browser() {}

    /**
     * Opens a browser; quit it. Skips the test where chromium or its driver is missing, fails it where the environment says that
     * they must be there.
     *
     * @param downloads the folder that files are saved to
     */
    public static ChromeDriver open(Path downloads) {
        Optional<Path> driver = onPath("chromedriver");
        Optional<Path> chromium = onPath("chromium");
        String missing = "nothing was tried in a browser: expected chromium and chromedriver on the PATH"
                + " (Debian: apt-get install chromium chromium-driver)";
        boolean there = driver.isPresent() && chromium.isPresent();
        assertThat(there || System.getenv("WAN_ATTN_REQUIRE_BROWSER") == null)
                .as(missing)
                .isTrue();
        assumeTrue(there, missing);
        ChromeOptions options = new ChromeOptions();
        options.setBinary(chromium.get().toFile());
        options.addArguments(
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--window-size=1300,1000");
        options.setExperimentalOption("prefs", Map.of("download.default_directory", downloads.toString()));
        options.setCapability("goog:loggingPrefs", Map.of(LogType.BROWSER, "ALL"));
        ChromeDriver browser = new ChromeDriver(
                new ChromeDriverService.Builder()
                        .usingDriverExecutable(driver.get().toFile())
                        .build(),
                options);
        browser.manage().timeouts().scriptTimeout(Duration.ofSeconds(30));
        return browser;
    }

    private static Optional<Path> onPath(String name) {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1))
                .map(folder -> Path.of(folder, name))
                .filter(Files::isExecutable)
                .findFirst();
    }
}

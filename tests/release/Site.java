package release;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.commonmark.Extension;
import org.commonmark.ext.gfm.tables.TablesExtension;
import org.commonmark.ext.heading.anchor.HeadingAnchorExtension;
import org.commonmark.node.AbstractVisitor;
import org.commonmark.node.Heading;
import org.commonmark.node.Image;
import org.commonmark.node.Link;
import org.commonmark.node.Node;
import org.commonmark.node.Text;
import org.commonmark.parser.Parser;
import org.commonmark.renderer.html.HtmlRenderer;
import picocli.CommandLine;
import wan.app.Main;

/**
 * The documentation as a site: every Markdown file that can be reached from docs/index.md becomes a page, under its own path with the
 * ending .html. The lists of docs/index.md are the navigation of every page. What links point to besides pages is copied.
 */
final class Site {
    private static final String HOME = "docs/index.md";
    private static final String OPTIONS = "docs/options.html";
    private static final String API = "apidocs/index.html";
    private static final List<Extension> EXTENSIONS =
            List.of(TablesExtension.create(), HeadingAnchorExtension.create());
    private static final Pattern ELSEWHERE = Pattern.compile("(?i)(https?|mailto):.*");
    private static final Pattern REFERENCE = Pattern.compile("(?:href|src)=\"([^\"]*)\"");
    private static final Pattern IDENTIFIER = Pattern.compile(" id=\"([^\"]*)\"");

    private final Path root;
    private final Path out;
    private final Map<String, Node> pages = new TreeMap<>();
    private final TreeSet<String> files = new TreeSet<>();

    private Site(Path root, Path out) {
        this.root = root;
        this.out = out;
    }

    /**
     * Writes the site.
     *
     * @param root the project's folder
     * @param out where to; Javadoc in its folder apidocs is linked if it is there
     */
    static void write(Path root, Path out) throws IOException {
        Site site = new Site(root, out);
        site.read();
        site.write();
    }

    private void read() throws IOException {
        Parser parser = Parser.builder().extensions(EXTENSIONS).build();
        Deque<String> left = new ArrayDeque<>(List.of(HOME));
        while (!left.isEmpty()) {
            String name = left.pop();
            if (pages.containsKey(name)) {
                continue;
            }
            Node page = parser.parse(Files.readString(root.resolve(name)));
            pages.put(name, page);
            page.accept(new AbstractVisitor() {
                @Override
                public void visit(Link link) {
                    link.setDestination(target(name, link.getDestination(), left));
                    visitChildren(link);
                }

                @Override
                public void visit(Image image) {
                    image.setDestination(target(name, image.getDestination(), left));
                }
            });
        }
    }

    /** What a link becomes: pages end in .html, folders are their README. */
    private String target(String page, String destination, Deque<String> left) {
        if (ELSEWHERE.matcher(destination).matches() || destination.startsWith("#")) {
            return destination;
        }
        int hash = destination.indexOf('#');
        String path = hash < 0 ? destination : destination.substring(0, hash);
        String fragment = hash < 0 ? "" : destination.substring(hash);
        Path folder = Path.of(page).resolveSibling("");
        String name = slashes(
                folder.resolve(URLDecoder.decode(path, StandardCharsets.UTF_8)).normalize());
        if (Files.isDirectory(root.resolve(name))) {
            name = name + "/README.md";
        }
        if (!Files.isRegularFile(root.resolve(name))) {
            return destination; // dangling; the test of links says so
        }
        String shown = name;
        if (name.endsWith(".md")) {
            left.add(name);
            shown = html(name);
        } else {
            files.add(name);
        }
        return slashes(folder.relativize(Path.of(shown))) + fragment;
    }

    private static String html(String page) {
        return page.replaceFirst("\\.md$", ".html");
    }

    private static String slashes(Path path) {
        return path.toString().replace('\\', '/');
    }

    private void write() throws IOException {
        HtmlRenderer renderer = HtmlRenderer.builder().extensions(EXTENSIONS).build();
        for (Map.Entry<String, Node> page : pages.entrySet()) {
            write(html(page.getKey()), title(page.getValue()), renderer.render(page.getValue()));
        }
        write(OPTIONS, "Options", options());
        for (String file : files) {
            Path target = out.resolve(file);
            Files.createDirectories(target.toAbsolutePath().getParent());
            Files.write(target, Files.readAllBytes(root.resolve(file)));
        }
        Files.writeString(out.resolve("index.html"), """
                <!doctype html>
                <meta charset="utf-8">
                <title>wan-attn</title>
                <meta http-equiv="refresh" content="0; url=docs/index.html">
                <p><a href="docs/index.html">wan-attn</a></p>
                """);
    }

    private void write(String name, String title, String body) throws IOException {
        Path target = out.resolve(name);
        Files.createDirectories(target.toAbsolutePath().getParent());
        Files.writeString(target, """
                <!doctype html>
                <html lang="en">
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <title>%s</title>
                <style>
                :root{color-scheme:light dark;--ink:#1f2933;--soft:#52606d;--rule:#d5dbe1;--tint:#f3f5f7;--link:#0b62a8;--paper:#fff}
                @media (prefers-color-scheme:dark){:root{--ink:#e6eaee;--soft:#a3b0bd;--rule:#39434e;--tint:#1d242b;--link:#7cc0f5;--paper:#14181d}}
                body{margin:0;display:flex;flex-direction:column;font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
                a{color:var(--link)}
                nav{order:1;padding:1.2em 1.5em;font-size:.9em;border-top:1px solid var(--rule)}
                nav ul{list-style:none;margin:.2em 0 1em;padding:0}
                nav h2{font-size:1em;margin:1em 0 .2em;color:var(--soft);border:0}
                nav a[aria-current]{font-weight:bold;color:inherit;text-decoration:none}
                main{padding:1.2em 1.5em 4em;width:100%%;max-width:52em;box-sizing:border-box;overflow-wrap:break-word}
                h1{font-size:1.8em;line-height:1.2}h2{margin-top:2em;border-bottom:1px solid var(--rule)}
                pre,code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.88em}
                pre{background:var(--tint);padding:.8em 1em;overflow-x:auto;border-radius:4px}
                code{background:var(--tint);padding:.1em .25em;border-radius:3px}pre code{padding:0}
                table{border-collapse:collapse;display:block;overflow-x:auto}
                th,td{border:1px solid var(--rule);padding:.35em .6em;text-align:left;vertical-align:top}
                img{max-width:100%%;background:#fff}
                @media (min-width:60em){.contents{display:none}body{display:grid;grid-template-columns:16em minmax(0,1fr)}nav{order:0;border-top:0;position:sticky;top:0;height:100vh;overflow-y:auto;box-sizing:border-box;border-right:1px solid var(--rule)}}
                </style>
                </head>
                <body>
                <nav id="contents" aria-label="Documentation">
                %s</nav>
                <main>
                <p class="contents"><a href="#contents">Contents</a></p>
                %s</main>
                </body>
                </html>
                """.formatted(escaped(title), navigation(name), body));
    }

    /** Every list of the home page under its heading, then what the build makes. */
    private String navigation(String page) {
        StringBuilder html = new StringBuilder();
        html.append("<p><strong>").append(link(page, html(HOME), "wan-attn")).append("</strong></p>\n");
        boolean[] open = {false};
        Node home = pages.get(HOME);
        for (Node node = home == null ? null : home.getFirstChild(); node != null; node = node.getNext()) {
            if (node instanceof Heading heading && heading.getLevel() == 2) {
                html.append(open[0] ? "</ul>\n" : "").append("<h2>").append(escaped(text(heading)));
                html.append("</h2>\n<ul>\n");
                open[0] = true;
                if (text(heading).equals("Reference")) {
                    html.append("<li>").append(link(page, OPTIONS, "Options")).append("</li>\n");
                    if (Files.isRegularFile(out.resolve(API))) {
                        html.append("<li>")
                                .append(link(page, API, "Library (Javadoc)"))
                                .append("</li>\n");
                    }
                }
            }
            node.accept(new AbstractVisitor() {
                @Override
                public void visit(Link link) {
                    if (open[0] && link.getDestination().endsWith(".html")) {
                        String name =
                                slashes(Path.of("docs", link.getDestination()).normalize());
                        html.append("<li>").append(link(page, name, text(link))).append("</li>\n");
                    }
                }
            });
        }
        return html.append(open[0] ? "</ul>\n" : "").toString();
    }

    private static String link(String page, String to, String words) {
        String href = slashes(Path.of(page).resolveSibling("").relativize(Path.of(to)));
        return "<a href=\"" + escaped(href) + "\"" + (page.equals(to) ? " aria-current=\"page\"" : "") + ">"
                + escaped(words) + "</a>";
    }

    /** The help of every command, as the program prints it. */
    private static String options() {
        StringBuilder html =
                new StringBuilder("<h1>Options</h1>\n<p>What <code>wan-attn COMMAND --help</code> prints.</p>\n");
        CommandLine main = Main.commandLine();
        for (Map.Entry<String, CommandLine> command : new TreeMap<>(main.getSubcommands()).entrySet()) {
            StringWriter text = new StringWriter();
            command.getValue().usage(new PrintWriter(text), CommandLine.Help.Ansi.OFF);
            html.append("<h2 id=\"")
                    .append(command.getKey())
                    .append("\">")
                    .append(command.getKey())
                    .append("</h2>\n<pre>");
            html.append(escaped(text.toString())).append("</pre>\n");
        }
        return html.toString();
    }

    private static String title(Node page) {
        for (Node node = page.getFirstChild(); node != null; node = node.getNext()) {
            if (node instanceof Heading heading) {
                return text(heading);
            }
        }
        return "wan-attn";
    }

    private static String text(Node node) {
        StringBuilder text = new StringBuilder();
        node.accept(new AbstractVisitor() {
            @Override
            public void visit(Text words) {
                text.append(words.getLiteral());
            }

            @Override
            public void visit(org.commonmark.node.Code code) {
                text.append(code.getLiteral());
            }
        });
        return text.toString();
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }

    /**
     * Links within a site that lead nowhere: to no file, or to no place in it.
     *
     * @return each as "page: link", sorted
     */
    static List<String> brokenLinks(Path site) throws IOException {
        List<String> broken = new ArrayList<>();
        Map<Path, Set<String>> identifiers = new HashMap<>();
        try (var all = Files.walk(site)) {
            for (Path page : all.filter(file -> file.toString().endsWith(".html"))
                    .sorted()
                    .toList()) {
                Matcher matcher = REFERENCE.matcher(Files.readString(page));
                while (matcher.find()) {
                    String link = unescaped(matcher.group(1));
                    if (!ELSEWHERE.matcher(link).matches() && !leadsSomewhere(page, link, identifiers)) {
                        broken.add(slashes(site.relativize(page)) + ": " + link);
                    }
                }
            }
        }
        return broken;
    }

    private static boolean leadsSomewhere(Path page, String link, Map<Path, Set<String>> identifiers) {
        int hash = link.indexOf('#');
        String path = URLDecoder.decode(hash < 0 ? link : link.substring(0, hash), StandardCharsets.UTF_8);
        Path target = path.isEmpty() ? page : page.resolveSibling(path).normalize();
        if (!Files.isRegularFile(target)) {
            return false;
        }
        boolean top = hash < 0 || hash == link.length() - 1;
        return top
                || identifiers
                        .computeIfAbsent(target, Site::identifiers)
                        .contains(URLDecoder.decode(link.substring(hash + 1), StandardCharsets.UTF_8));
    }

    private static Set<String> identifiers(Path page) {
        try {
            return IDENTIFIER
                    .matcher(Files.readString(page))
                    .results()
                    .map(found -> unescaped(found.group(1)))
                    .collect(Collectors.toSet());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String unescaped(String attribute) {
        return attribute
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&amp;", "&");
    }
}

package arch;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaAccess.Predicates;
import com.tngtech.archunit.core.domain.JavaCall;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.lang.foreign.Arena;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;
import wan.op.Dyn;

/** Who may use whom, and what is kept to one place. Every rule is shown to bite, on the classes in {@code arch.bad}. */
class ArchitectureTest {
    private static final String BAD = "arch.bad.";

    /** All that a program may use: neither the command line, nor TornadoVM's package, which is found as a service. */
    private static final Set<String> LIBRARY = Set.of(
            "wan.op",
            "wan.model",
            "wan.cache",
            "wan.noise",
            "wan.pass",
            "wan.sampling",
            "wan.backend",
            "wan.jvm",
            "wan.selftest",
            "wan.file",
            "wan.weights",
            "wan.text",
            "wan.vae",
            "wan.video",
            "wan.edit",
            "wan.run",
            "wan.sweep",
            "capture");

    /** What each package may use of ours besides itself: packages, or single classes. */
    private static final Map<String, Set<String>> MAY_USE = Map.ofEntries(
            Map.entry("wan.op", Set.of()),
            Map.entry("wan.model", Set.of("wan.op")),
            Map.entry("wan.cache", Set.of("wan.op")),
            Map.entry("wan.noise", Set.of("wan.op")),
            Map.entry("wan.pass", Set.of("wan.op", "wan.model", "wan.cache")),
            Map.entry("wan.sampling", Set.of("wan.op", "wan.model", "wan.cache", "wan.noise", "wan.pass")),
            Map.entry("wan.jvm.kernel", Set.of("wan.op")),
            Map.entry("wan.jvm.scalar", Set.of("wan.op", "wan.jvm.kernel")),
            Map.entry("wan.jvm.vector", Set.of("wan.op", "wan.jvm.kernel")),
            Map.entry("wan.jvm.onednn", Set.of("wan.op", "wan.jvm.kernel", "wan.jvm.vector")),
            Map.entry("wan.backend", Set.of("wan.op")),
            Map.entry("wan.jvm", Set.of("wan.op", "wan.backend")),
            Map.entry("tornado", Set.of("wan.op", "wan.backend")),
            Map.entry("wan.file", Set.of("wan.op")),
            Map.entry("wan.file.torch", Set.of("wan.op")),
            Map.entry("wan.weights", Set.of("wan.op", "wan.file", "wan.model.WanConfig", "wan.model.WanParameters")),
            Map.entry("wan.text", Set.of("wan.op", "wan.file")),
            Map.entry("wan.vae", Set.of("wan.op", "wan.file")),
            Map.entry("wan.video", Set.of("wan.op", "wan.file")),
            Map.entry("capture", Set.of("wan.op", "wan.cache", "wan.pass", "wan.file")),
            Map.entry(
                    "wan.edit", Set.of("wan.op", "wan.cache", "wan.noise", "wan.pass", "wan.file", "capture.Indices")),
            Map.entry("capture.analysis", Set.of("capture", "wan.op", "wan.pass", "wan.file")),
            Map.entry("capture.figures", Set.of("capture.analysis", "wan.op", "wan.pass", "wan.file")),
            Map.entry("wan.selftest", Set.of("wan.op", "wan.backend", "wan.jvm")),
            Map.entry("wan.run", LIBRARY),
            Map.entry("wan.sweep", LIBRARY),
            Map.entry("wan.launch", Set.of()),
            Map.entry("wan.app.guard", Set.of("wan.op")),
            Map.entry("wan.app.option", with(LIBRARY, "wan.app.guard")),
            Map.entry("wan.app.bench", LIBRARY),
            Map.entry("wan.app.terminal", with(LIBRARY, "wan.app.option")),
            Map.entry(
                    "wan.app.command",
                    with(LIBRARY, "wan.app.guard", "wan.app.option", "wan.app.terminal", "wan.app.bench")),
            Map.entry("wan.app", with(LIBRARY, "wan.app")));

    /** What takes the digits, signs or letters of the user's language unless it is told another. */
    private static final Set<String> DEPEND_ON_THE_LOCALE = Set.of(
            "String.format",
            "String.formatted",
            "String.toLowerCase",
            "String.toUpperCase",
            "PrintStream.printf",
            "PrintStream.format",
            "PrintWriter.printf",
            "PrintWriter.format",
            "NumberFormat.getInstance",
            "NumberFormat.getNumberInstance",
            "NumberFormat.getPercentInstance",
            "NumberFormat.getCompactNumberInstance",
            "DateTimeFormatter.ofPattern",
            "DateTimeFormatter.ofLocalizedDate");

    /** Where the classes lie depends on whether a TornadoVM SDK is there; our signatures of its API lie there too without one. */
    private static final JavaClasses OURS = new ClassFileImporter()
            .withImportOption(location -> !location.contains("uk/ac/manchester/tornado"))
            .importPath(classesFolder());

    private static final JavaClasses FIXTURE =
            new ClassFileImporter().importPackages(BAD.substring(0, BAD.length() - 1));

    static final ArchRule DEPENDENCIES = classes().should(useOnlyWhatTheyMay());

    static final ArchRule VECTORS = noClasses()
            .that(areOutside("wan.jvm"))
            .should()
            .dependOnClassesThat(resideInAPackage("jdk.incubator.."))
            .because("the Vector API is fenced in");

    static final ArchRule DYNAMIC_VALUES = noClasses()
            .that(areOutside("wan.op", "wan.jvm", "tornado"))
            .should()
            .callMethodWhere(calls(Dyn.class, "get", "count", "values"))
            .because("what branches on a value of one step cannot be recorded once for all");

    static final ArchRule EXIT = noClasses()
            .that(areOutside("wan.launch", "wan.app.Main"))
            .should()
            .callMethodWhere(calls(System.class, "exit").or(calls(Runtime.class, "exit", "halt")))
            .because("who ends the JVM skips everyone's clean-up");

    static final ArchRule STDOUT = noClasses()
            .that(areOutside("wan.app"))
            .should()
            .accessField(System.class, "out")
            .because("results are the command line's to print");

    static final ArchRule LOGGING = noClasses()
            .should()
            .dependOnClassesThat(resideInAPackage("java.util.logging.."))
            .because("diagnostics go through System.Logger");

    static final ArchRule ARENAS = noClasses()
            .should()
            .callMethodWhere(calls(Arena.class, "ofAuto"))
            .because("an arena has an owner who closes it");

    static final ArchRule LOCALES = noClasses()
            .should()
            .callMethodWhere(describe(
                    "format or change case without a locale",
                    call -> DEPEND_ON_THE_LOCALE.contains(call.getTargetOwner().getSimpleName() + "." + call.getName())
                            && call.getTarget().getRawParameterTypes().stream()
                                    .noneMatch(type -> type.isEquivalentTo(Locale.class))))
            .because("files and messages are the same for every user; pass Locale.ROOT");

    static final ArchRule CYCLES =
            slices().assignedFrom(ourPackages()).should().beFreeOfCycles().because("a cycle is one package");

    static final Set<ArchRule> RULES =
            Set.of(DEPENDENCIES, VECTORS, DYNAMIC_VALUES, EXIT, STDOUT, LOGGING, ARENAS, LOCALES, CYCLES);

    private static Path classesFolder() {
        try {
            return Path.of(Dyn.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    @ParameterizedTest
    @FieldSource("RULES")
    void rule_holds(ArchRule rule) {
        rule.check(OURS);
    }

    @ParameterizedTest
    @FieldSource("RULES")
    void rule_isBroken_byTheFixture(ArchRule rule) {
        assertThat(rule.evaluate(FIXTURE).hasViolation()).isTrue();
    }

    @Test
    void launcher_usesTheBasicsOfJava17Only() {
        classes()
                .that()
                .resideInAPackage("wan.launch")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage("wan.launch", "java.lang..", "java.io", "java.net", "java.nio..", "java.util..")
                .check(OURS);
    }

    @Test
    void packages_areAllInTheTable() {
        Set<String> packages = new TreeSet<>();
        OURS.forEach(type -> packages.add(roomOf(packageOf(type))));
        assertThat(MAY_USE.keySet()).containsAll(packages);
        assertThat(packages).contains("wan.op", "wan.model", "wan.jvm", "wan.app", "capture");
    }

    @ParameterizedTest
    @MethodSource
    void mayUse_followsTheTable(String from, String to, boolean allowed) {
        assertThat(mayUse(from, to)).isEqualTo(allowed);
    }

    static Stream<Arguments> mayUse_followsTheTable() {
        return Stream.of(
                Arguments.of("wan.model", "wan.op.Ops", true),
                Arguments.of("wan.model", "wan.model.WanLayer", true),
                Arguments.of("wan.model", "capture.CapturePlan", false),
                Arguments.of("wan.weights", "wan.model.WanConfig", true),
                Arguments.of("wan.weights", "wan.model.WanConfig$Kind", true),
                Arguments.of("wan.weights", "wan.model.WanConfigs", false),
                Arguments.of("wan.op", "wan.optional.Thing", false),
                Arguments.of("wan.model", "wan.optional.Thing", false),
                Arguments.of("wan.unknown", "wan.op.Ops", false),
                Arguments.of("wan.run", "tornado.TornadoOps", false),
                Arguments.of("wan.run", "wan.app.Main", false),
                Arguments.of("wan.app", "tornado.TornadoOps", false),
                Arguments.of("wan.app.option", "wan.app.command.ExtractCommand", false),
                Arguments.of("wan.app.command", "wan.app.option.RunOptions", true),
                Arguments.of("wan.app", "capture.CapturePlan", true));
    }

    /** The name without the fixture's prefix. */
    private static String nameOf(JavaClass type) {
        String name = type.getBaseComponentType().getName();
        return name.startsWith(BAD) ? name.substring(BAD.length()) : name;
    }

    private static String packageOf(JavaClass type) {
        String name = nameOf(type);
        return name.substring(0, Math.max(0, name.lastIndexOf('.')));
    }

    private static Set<String> with(Set<String> packages, String... more) {
        return Stream.concat(packages.stream(), Stream.of(more)).collect(Collectors.toUnmodifiableSet());
    }

    private static boolean isOurs(String name) {
        return name.startsWith("wan.") || name.startsWith("capture.") || name.startsWith("tornado.");
    }

    private static boolean isIn(String name, String packageOrClass) {
        return name.startsWith(packageOrClass)
                && (name.length() == packageOrClass.length()
                        || ".$".indexOf(name.charAt(packageOrClass.length())) >= 0);
    }

    private static boolean mayUse(String from, String name) {
        Set<String> allowed = MAY_USE.getOrDefault(roomOf(from), Set.of());
        return isIn(name, from) || allowed.stream().anyMatch(each -> isIn(name, each));
    }

    /** The package's own entry in the table, or that of the package around it. */
    private static String roomOf(String name) {
        String room = name;
        while (!MAY_USE.containsKey(room) && room.contains(".")) {
            room = room.substring(0, room.lastIndexOf('.'));
        }
        return room;
    }

    private static ArchCondition<JavaClass> useOnlyWhatTheyMay() {
        return new ArchCondition<>("use only what the table allows them") {
            @Override
            public void check(JavaClass type, ConditionEvents events) {
                type.getDirectDependenciesFromSelf().forEach(dependency -> {
                    String name = nameOf(dependency.getTargetClass());
                    if (isOurs(name) && !mayUse(packageOf(type), name)) {
                        events.add(SimpleConditionEvent.violated(type, dependency.getDescription()));
                    }
                });
            }
        };
    }

    private static DescribedPredicate<JavaClass> areOutside(String... packagesOrClasses) {
        return describe(
                "are outside " + String.join(", ", packagesOrClasses),
                type -> Stream.of(packagesOrClasses).noneMatch(each -> isIn(nameOf(type), each)));
    }

    private static DescribedPredicate<JavaCall<?>> calls(Class<?> owner, String... methods) {
        return Predicates.targetOwner(describe(owner.getSimpleName(), type -> type.isEquivalentTo(owner)))
                .and(describe(
                        "." + String.join("|", methods), call -> Set.of(methods).contains(call.getName())))
                .forSubtype();
    }

    private static SliceAssignment ourPackages() {
        return new SliceAssignment() {
            @Override
            public SliceIdentifier getIdentifierOf(JavaClass type) {
                return isOurs(nameOf(type)) ? SliceIdentifier.of(packageOf(type)) : SliceIdentifier.ignore();
            }

            @Override
            public String getDescription() {
                return "our packages";
            }
        };
    }
}

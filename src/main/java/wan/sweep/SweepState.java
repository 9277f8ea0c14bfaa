package wan.sweep;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import wan.file.StrictJson;
import wan.op.WanException;

/** The state of a sweep's runs, from file names and small files alone: a run is done when its result exists. */
public final class SweepState {
    static final String SWEEP = "sweep.json";
    private static final String RUNS = "runs";
    private static final String RESULT = ".safetensors";
    private static final String LATENTS = ".latents.safetensors";
    private static final String RECORD = ".json";
    /** Folders that shards starting at the same time create first. */
    private static final Set<String> OURS = Set.of(SWEEP, RUNS, "claims", "workers");

    private final SweepStore store;
    private final Sweep sweep;
    private final List<SweepRun> runs;

    private SweepState(SweepStore store, Sweep sweep, List<SweepRun> runs) {
        this.store = store;
        this.sweep = sweep;
        this.runs = runs;
    }

    /** The state of a sweep that has been started; null if there is none. */
    static @Nullable SweepState open(SweepStore store) {
        byte[] json = store.read(SWEEP);
        if (json == null) {
            return null;
        }
        Sweep sweep = parse(store, json);
        return new SweepState(store, sweep, sweep.runs());
    }

    /**
     * Starts a sweep, or continues one. The sweep may have more runs than the one that is there.
     *
     * @throws WanException if something else is there
     */
    public static SweepState begin(SweepStore store, Sweep sweep) {
        List<SweepRun> runs = sweep.runs();
        byte[] json = SweepJson.write(sweep).getBytes(StandardCharsets.UTF_8);
        byte[] there = store.read(SWEEP);
        if (there == null) {
            if (!store.names("").stream().allMatch(SweepState::isOurs)) {
                throw new WanException(store + ": expected an empty folder or that of this sweep, got other files");
            }
            store.write(SWEEP, json);
        } else if (!Arrays.equals(there, json)) {
            Set<String> ids = new HashSet<>();
            runs.forEach(run -> ids.add(run.id()));
            for (SweepRun other : parse(store, there).runs()) {
                if (!ids.contains(other.id())) {
                    throw new WanException(store + ": expected this sweep, or one that it adds runs to, got another,"
                            + " with the run " + other.describe() + "; choose another folder");
                }
            }
            store.write(SWEEP, json);
        }
        return new SweepState(store, sweep, runs);
    }

    private static Sweep parse(SweepStore store, byte[] json) {
        String file = store + "/" + SWEEP;
        return SweepJson.read(file, StrictJson.tree(file, json));
    }

    private static boolean isOurs(String name) {
        return OURS.contains(name) || (name.startsWith(SWEEP) && name.endsWith(".tmp"));
    }

    /** The name of a run's result. */
    public static String result(String id) {
        return RUNS + "/" + id + RESULT;
    }

    /** The name of a run's latents, if the sweep keeps them. */
    public static String latents(String id) {
        return RUNS + "/" + id + LATENTS;
    }

    /** The name of a run's record, a small JSON file. */
    public static String record(String id) {
        return RUNS + "/" + id + RECORD;
    }

    /** The sweep. */
    public Sweep sweep() {
        return sweep;
    }

    /** All runs in order, done or not. */
    public List<SweepRun> runs() {
        return runs;
    }

    /** The ids of all runs whose result exists, from one listing. */
    public Set<String> done() {
        Set<String> done = new HashSet<>();
        for (String name : store.names(RUNS)) {
            if (name.endsWith(RESULT) && !name.endsWith(LATENTS)) {
                done.add(name.substring(0, name.length() - RESULT.length()));
            }
        }
        return done;
    }

    /** The ids of all runs that have a record. */
    public Set<String> recorded() {
        Set<String> recorded = new HashSet<>();
        for (String name : store.names(RUNS)) {
            if (name.endsWith(RECORD)) {
                recorded.add(name.substring(0, name.length() - RECORD.length()));
            }
        }
        return recorded;
    }

    /** The records of runs that have failed and are not done, by id. */
    public Map<String, RunRecord> failed() {
        Set<String> recorded = recorded();
        recorded.removeAll(done());
        Map<String, RunRecord> failed = new HashMap<>();
        for (String id : recorded) {
            RunRecord record = how(id);
            if (record != null && record.error() != null) {
                failed.put(id, record);
            }
        }
        return failed;
    }

    /** The record of a run; null if there is none. */
    public @Nullable RunRecord how(String id) {
        byte[] json = store.read(record(id));
        return json == null ? null : RunRecord.parse(store + "/" + record(id), json);
    }

    /** Records how a run went. */
    public void record(String id, RunRecord how) {
        store.write(record(id), how.json(id));
    }
}

package uk.ac.manchester.tornado.api;

import java.util.HashMap;
import java.util.Map;

/** The grids of a plan's tasks, by {@code graph.task}. */
public class GridScheduler {
    private final Map<String, WorkerGrid> grids = new HashMap<>();

    /** No grids yet. */
    public GridScheduler() {}

    /** Sets the grid of a task; it may be changed later. */
    public void addWorkerGrid(String taskName, WorkerGrid workerGrid) {
        grids.put(taskName, workerGrid);
    }

    /** The grid of a task. */
    public WorkerGrid get(String taskName) {
        return grids.get(taskName);
    }
}

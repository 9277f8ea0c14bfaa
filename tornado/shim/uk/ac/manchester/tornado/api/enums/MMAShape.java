package uk.ac.manchester.tornado.api.enums;

/** Sizes of the tiles that a warp multiplies at once: rows, columns, and what is summed over. */
public enum MMAShape {
    /** 16 bits. */
    M16N8K16
}

package tornado;

/** The arrays and the numbers that are recorded of one call of a library. */
sealed interface LibraryOperands permits GemmOperands, SdpaOperands {}

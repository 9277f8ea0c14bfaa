package wan.vae;

/** A piece of an autoencoder: one that needs whole frames, or one that can be computed in bands of rows. */
sealed interface Part permits Stage, RowLayer {}

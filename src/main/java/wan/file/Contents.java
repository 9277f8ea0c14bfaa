package wan.file;

import java.util.Collection;
import java.util.regex.Pattern;

/** What kind of tensors a file holds, recognised by their names: the kinds of files that users may confuse with each other. */
public enum Contents {
    /** Low-rank adapters, of whatever trainer. */
    LORA(
            "a LoRA, not a model; model.loras merges it into the base model",
            "(^|.*[._/])(lora_([AB]|[ab]|down|up|mid|embedding_[AB])|hada_w[12]_[ab]|lokr_w[12](_[ab])?|dora_scale|diff|diff_b)"
                    + "([._].*|$)"),
    /** Weights of 8 bits or less beside their scales. */
    QUANTIZED(
            "float8 or other quantised weights with scales of their own, which are not supported; use the bf16 or fp16"
                    + " file of the same model",
            "(^|.*[._/])(scale_weight|weight_scale|weight_scale_inv|weight_scale_2|scaled_fp8|SCB|weight_format|absmax"
                    + "|quant_map|quant_state|qweight|qzeros|comfy_quant|wscales|scale_input|input_scale)([._].*|$)"),
    /** The transformer of Wan. */
    TRANSFORMER(
            "a Wan transformer; pass it as model.path or model.checkpoint",
            "(^|.*[./])blocks\\.0\\.(self_attn\\.norm_q|attn1\\.norm_q)\\.weight"),
    /** The text encoder of Wan. */
    TEXT_ENCODER(
            "a text encoder (UMT5 or T5); pass Wan's as prompt.text_encoder",
            "(^|.*[./])(blocks\\.0\\.attn\\.q|(encoder\\.)?block\\.0\\.layer\\.0\\.SelfAttention\\.q)\\.weight"),
    /** A picture encoder. */
    CLIP(
            "CLIP, the picture encoder of image-to-video models, which is not run here; video.picture takes the clip_fea"
                    + " that it computes",
            "(^|.*[./])(visual\\.|textual\\.|vision_model\\.|text_model\\.|logit_scale$|log_scale$).*"),
    /** A model of another family. */
    OTHER_MODEL(
            "another model than Wan2.1",
            "(.*/)?(module\\.|model\\.|diffusion_model\\.|transformer\\.|unet\\.|net\\.)*(double_blocks|single_blocks|joint_blocks|transformer_blocks|input_blocks|output_blocks|down_blocks"
                    + "|layers\\.\\d+\\.self_attn\\.q_proj|layers\\.\\d+\\.attention)\\..*"),
    /** Pixels to latents and back. */
    VAE(
            "a VAE; output.vae takes that of Wan2.1",
            "(^|.*[./])(post_quant_conv\\.|quant_conv\\.|decoder\\.(conv1|conv_in|middle|mid_block|mid"
                    + "|up_blocks|upsamples|\\d+)\\.).*"),
    /** Captures of this program. */
    RESULT("a result of wan-attn extract, without weights", "block\\d+\\.step\\d+\\..*"),
    /** Embeddings of prompts. */
    EMBEDDINGS("embeddings of prompts; prompt.embeddings takes them", "(^|.*/)(negative_)?prompt_embeds?"),
    /** An optimiser's averages. */
    OPTIMIZER(
            "an optimizer state without weights; use the checkpoint that was saved with it",
            "(^|.*[./])(exp_avg|exp_avg_sq|momentum_buffer)$"),
    /** Nothing is recognised. */
    UNKNOWN("", "");

    private final String words;
    private final Pattern sign;

    Contents(String words, String sign) {
        this.words = words;
        this.sign = Pattern.compile(sign);
    }

    /** The first kind, in the order above, that a name shows. */
    public static Contents of(Collection<String> names) {
        for (Contents kind : values()) {
            if (kind != UNKNOWN
                    && names.stream().anyMatch(name -> kind.sign.matcher(name).matches())) {
                return kind;
            }
        }
        return UNKNOWN;
    }

    /** What it is and what to do with it, for a message; empty where nobody can tell. */
    public String words() {
        return words;
    }

    /** {@code ; it is WHAT}, or nothing where nobody can tell. */
    public String itIs() {
        return this == UNKNOWN ? "" : "; it is " + words;
    }
}

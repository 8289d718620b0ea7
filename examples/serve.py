"""Time per token over the batch size, while DeepSeek-V3 decodes on 128 GPUs."""

import netsim

print("batch  ms per token  tokens/s per GPU")
for batch in (16, 32, 64):
    overrides = {"decode.batch": batch}
    decode = netsim.infer(gpus=128, phase="decode", overrides=overrides).record["decode"]
    print(f"{batch:5}  {decode['tpot_ms']:12.1f}  {decode['tokens_per_s_per_gpu']:16,.0f}")

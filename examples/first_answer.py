"""Simulate a training step, and print the three numbers that matter."""

import netsim

run = netsim.run("mpft", gpus=2048)
step, cost = run.record["step"], run.record["cost"]

print(f"step          {step['time_s']:8.2f} s")
print(f"exposed       {step['exposed_comm_s']:8.2f} s of communication")
print(f"network price {cost['network_usd'] / 1e6:8.2f} M$")

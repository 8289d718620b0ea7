"""Step time and network price over the rate of the NICs."""

import netsim

rates = ["100 Gb/s", "200 Gb/s", "400 Gb/s"]
study = netsim.sweep(base={"topology": "mrft", "gpus": 1024}, vary={"nic.line_rate": rates}, jobs=1)
print(study.table[["nic.line_rate", "step_time_s", "network_usd"]].to_string(index=False))

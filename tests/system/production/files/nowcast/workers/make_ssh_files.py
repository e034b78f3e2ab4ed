from nowcast.workers import plain

plain.main("make_ssh_files", lambda config, tell, args: ("success", {"files": {"2026-03-14", "2026-03-15"}}))

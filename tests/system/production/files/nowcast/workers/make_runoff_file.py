from nowcast.workers import plain

plain.main("make_runoff_file", lambda config, tell, args: ("success", {"station": args[0], "number": args[1]}))

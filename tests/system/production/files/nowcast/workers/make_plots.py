from nowcast.workers import plain

plain.main("make_plots", lambda config, tell, args: ("crash", None))

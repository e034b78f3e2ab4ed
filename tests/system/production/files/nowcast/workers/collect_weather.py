from nowcast.workers import plain

plain.main("collect_weather", lambda config, tell, args: ("success", {args[0]: "collected"}))
